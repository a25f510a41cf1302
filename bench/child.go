package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"time"
)

// childOrder is what a child process reads from its standard input, as one line of JSON; exactly one field is set. The
// end of the input ends the child, so that none outlives the process that started it.
type childOrder struct {
	Load    *LoadConfig    `json:"load,omitempty"`
	Hold    bool           `json:"hold,omitempty"` // with Load of ModeIdle: hold until the input ends
	Backend *BackendConfig `json:"backend,omitempty"`
	Forward *ForwardConfig `json:"forward,omitempty"`
}

// childNews is a line of JSON that a child writes to its standard output; exactly one field is set.
type childNews struct {
	Listening []netip.AddrPort `json:"listening,omitempty"`
	Held      *int             `json:"held,omitempty"`
	Report    *LoadReport      `json:"report,omitempty"`
	Error     string           `json:"error,omitempty"`
}

// Child is a process of a comparison: generator, backend or forwarder, as the order on stdin says. A program that
// calls [Compare] must call Child when it is started with the arguments of [CompareConfig.Self].
func Child(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("bench: child: no order on standard input: %w", err)
	}
	var order childOrder
	if err := json.Unmarshal(line, &order); err != nil {
		return fmt.Errorf("bench: child: order: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inputEnded := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(inputEnded)
		if !order.Hold {
			cancel()
		}
	}()
	return obey(ctx, order, inputEnded, json.NewEncoder(stdout))
}

func obey(ctx context.Context, order childOrder, inputEnded <-chan struct{}, out *json.Encoder) error {
	listening := func(addrs ...netip.AddrPort) { _ = out.Encode(childNews{Listening: addrs}) }
	var err error
	switch {
	case order.Backend != nil:
		order.Backend.OnListen = func(addrs []netip.AddrPort) { listening(addrs...) }
		err = RunBackend(ctx, *order.Backend)
	case order.Forward != nil:
		order.Forward.OnListen = func(addr netip.AddrPort) { listening(addr) }
		err = RunForwarder(ctx, *order.Forward)
	case order.Load != nil:
		if order.Hold {
			order.Load.Hold = func(held int) {
				_ = out.Encode(childNews{Held: &held})
				<-inputEnded
			}
		}
		var report *LoadReport
		if report, err = RunLoad(ctx, *order.Load); err == nil {
			return out.Encode(childNews{Report: report})
		}
	default:
		err = errors.New("bench: child: empty order")
	}
	if err != nil {
		_ = out.Encode(childNews{Error: err.Error()})
	}
	return err
}

// child is a process that this one started and gave an order.
type child struct {
	cmd    *exec.Cmd
	input  io.Closer
	news   *json.Decoder
	stderr bytes.Buffer
}

// startChild starts one. End it with stop, or by taking its report.
func startChild(ctx context.Context, self []string, order childOrder) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, self[0], self[1:]...)}
	c.cmd.Stderr = &c.stderr
	c.cmd.WaitDelay = time.Second
	input, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.input, c.news = input, json.NewDecoder(output)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(order)
	if err == nil {
		_, err = input.Write(append(line, '\n'))
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("order: %w", err)
	}
	return c, nil
}

// next is the child's next line.
func (c *child) next() (n childNews, err error) {
	if err := c.news.Decode(&n); err != nil {
		return n, fmt.Errorf("%v ended: %w: %s", c.cmd.Args, err, bytes.TrimSpace(c.stderr.Bytes()))
	}
	if n.Error != "" {
		return n, errors.New(n.Error)
	}
	return n, nil
}

// stop ends the child by ending its input, and waits for it.
func (c *child) stop() {
	_ = c.input.Close()
	_ = c.cmd.Wait()
}
