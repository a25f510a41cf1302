package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

var errStrangeAnswer = errors.New("the answer is not our backend's")

// probeLimit is how long one question may take: a balancer that is about to listen drops none that came before.
const probeLimit = 2 * time.Second

// probe asks for the last name of a table once and checks the answer.
func probe(ctx context.Context, target netip.AddrPort, w work) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	name := w.names.At(w.names.Len() - 1)
	if w.tls {
		d := dial{cfg: &LoadConfig{Timeout: probeLimit}, target: target, name: name}
		_, answer, err := d.handshake(ctx)
		if _, ok := wire.ReadAnswer(answer[:]); err == nil && !ok {
			return errStrangeAnswer
		}
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(probeLimit))
	return ask(conn, name)
}

// ask sends a raw hello for the name and reads the answer.
func ask(conn net.Conn, name string) error {
	names, err := wire.ParseNames(name)
	if err != nil {
		return err
	}
	hellos, err := wire.NewHellos(names, wire.Spec{}, wire.Cut{})
	if err != nil {
		return err
	}
	hello := hellos.At(0, wire.Order{})
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	var answer [wire.AnswerLen]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	got, ok := wire.ReadAnswer(answer[:])
	if !ok || got != wire.AnswerTo(hello, int(got.Pool)) {
		return errStrangeAnswer
	}
	return nil
}
