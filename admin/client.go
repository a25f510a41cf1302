package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client asks a running balancer over its unix socket. Its methods may be called from any goroutine.
type Client struct {
	http http.Client
}

// NewClient returns a Client for the socket at path. It connects when it is first asked, and must be closed.
func NewClient(path string) *Client {
	dialer := net.Dialer{Timeout: dialTimeout}
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		DisableCompression: true, // it is the same machine
	}}}
}

// Bounds of a client. How long an answer may take is the caller's to say, with a context.
const (
	dialTimeout = 5 * time.Second
	maxAnswer   = 256 << 20
)

// Close hangs up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call is one request: a verb of docs/admin-api.md.
type Call struct {
	Method string // "": GET
	Path   string // made by [Path]
	Query  url.Values
	Body   []byte
}

// Path joins segments, each of any content, to the path of a verb: Path("routes", "api") is "/v1/routes/api".
func Path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// Do makes the call, and decodes its answer into out unless that is nil; keys that out does not have are passed over. It
// returns the answer as it came, too. What the balancer refuses is an [*APIError]; any other error says that it could not
// be asked, wraps the errno, and tells nothing about whether a change was made once the request was sent.
func (c *Client) Do(ctx context.Context, call Call, out any) (raw []byte, err error) {
	res, err := c.send(ctx, call)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("admin: answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, readProblem(res, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			return nil, fmt.Errorf("admin: answer: %w", err)
		}
	}
	return raw, nil
}

func (c *Client) send(ctx context.Context, call Call) (*http.Response, error) {
	// The host means nothing on a unix socket.
	u := "http://switchyard" + call.Path
	if len(call.Query) > 0 {
		u += "?" + call.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, u, bytes.NewReader(call.Body))
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	res, err := c.http.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text is all URL
	}
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return res, nil
}

// readProblem makes an error of an answer that is not 200, also of one that is not ours.
func readProblem(res *http.Response, body []byte) error {
	e := &APIError{}
	if err := json.Unmarshal(body, e); err != nil || e.Message == "" {
		e = &APIError{Message: "the answer is " + res.Status}
	}
	e.Status = res.StatusCode
	return e
}
