package health

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// maxHeader bounds the bytes of a response up to the end of its header, interim responses included. nginx and Go
// write at most 4 and 8 KiB without being asked to.
const maxHeader = 32 << 10

var errHeader = fmt.Errorf("the header of the response is longer than %d KiB", maxHeader>>10)

// request makes one request by HTTP/1.1 and judges the status. Redirects are answers like any other.
func (p *probe) request() error {
	if p.outcome.alpn != "" && p.outcome.alpn != "http/1.1" {
		return errALPN
	}
	if _, err := p.conn.Write(p.appendRequest(nil)); err != nil {
		return err
	}
	p.asked = true
	status, err := p.response()
	if err != nil {
		return err
	}
	if !p.expected(status) {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// appendRequest writes the request. The configuration has seen to it that nothing in it ends a line.
func (p *probe) appendRequest(b []byte) []byte {
	check := p.check
	host := check.Host
	if host == "" {
		host = check.SNI
	}
	if host == "" {
		host = withoutZone(p.target.to).String()
	}
	b = fmt.Appendf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", p.method(), or(check.Path, "/"), host)
	b = append(b, "User-Agent: switchyard\r\nAccept: */*\r\nConnection: close\r\n"...)
	switch p.method() {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...) // RFC 9110 §8.6
	}
	return append(b, "\r\n"...)
}

func (p *probe) method() string { return or(p.check.Method, http.MethodGet) }

// response reads up to the end of the header and returns the status. The rest is left to farewell.
func (p *probe) response() (status int, err error) {
	bounded := &io.LimitedReader{R: p.conn, N: maxHeader}
	r := bufio.NewReader(bounded)
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: p.method()})
		switch {
		case err != nil && bounded.N <= 0:
			return 0, errHeader
		case err != nil:
			return 0, err
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp.StatusCode, nil
		}
	}
}

// expected tells whether status is that of a healthy backend.
func (p *probe) expected(status int) bool {
	if want := p.check.ExpectStatus; len(want) > 0 {
		return slices.Contains(want, status)
	}
	return status >= 200 && status < 400
}

// or is s, or fallback where that is empty.
func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// errALPN is what comes of offering protocols that a check by HTTP cannot speak.
var errALPN = errors.New("the backend has chosen another protocol than http/1.1")
