package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
)

const (
	answerMax  = 64 << 20 // bytes of an answer that Call reads
	problemMax = 64 << 10 // bytes of an error answer that are looked at
	dialTime   = 10 * time.Second
)

// Client makes calls to one component.
type Client struct {
	HTTP  *http.Client
	Base  string     // for example https://director.example.org:5555, without a slash at its end
	Token api.Secret // sent as Bearer where it is not empty
}

// Option adds to one request.
type Option func(*http.Request)

// WithEpoch puts the protocol version and the caller's epoch on a downward call.
func WithEpoch(e api.Epoch) Option {
	return func(r *http.Request) {
		r.Header.Set(api.HeaderProtocol, strconv.Itoa(api.Protocol))
		r.Header.Set(api.HeaderFence, strconv.FormatUint(e.Fence, 10))
		r.Header.Set(api.HeaderIncarnation, strconv.FormatUint(e.Incarnation, 10))
		r.Header.Set(api.HeaderRevision, strconv.FormatUint(e.Revision, 10))
	}
}

// WithHeader sets one header of the request.
func WithHeader(k, v string) Option { return func(r *http.Request) { r.Header.Set(k, v) } }

// NewTransport makes an HTTP/1.1 transport with the TLS settings t. It dials address (host:port) whatever the URL says;
// with "" it dials the URL's host. The name that the certificate must carry is t.ServerName, else the URL's host. With a
// nil t the system's roots are trusted.
func NewTransport(t *tls.Config, address string) *http.Transport {
	if t = t.Clone(); t == nil {
		t = &tls.Config{}
	}
	t.NextProtos = []string{"http/1.1"}
	dialer := &net.Dialer{Timeout: dialTime}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		TLSClientConfig: t, Protocols: protocols, TLSHandshakeTimeout: dialTime, ExpectContinueTimeout: dialTime,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: headerMax,
		DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
			if address != "" {
				host = address
			}
			return dialer.DialContext(ctx, network, host)
		},
	}
}

// Call makes one call with JSON both ways: in is the body (nil: none; an io.Reader is sent as it is), O the answer
// (struct{}: the answer is ignored). path begins with "/" and holds the query; its parts must be escaped.
//
// Nothing but ctx limits the time of a call. Every error wraps an *api.Error: the problem document of the answer, the code that fits the status of any other answer
// that is no success, or CodeUnavailable where the component cannot be reached. An end of ctx shows by errors.Is as well.
func Call[O any](ctx context.Context, c *Client, method, path string, in any, opts ...Option) (O, error) {
	var out O
	answer, err := c.send(ctx, method, path, in, opts)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerMax+1))
	if err != nil {
		return out, c.trouble(ctx, method, path, err)
	}
	if _, none := any(out).(struct{}); none || answer.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if len(body) > answerMax {
		return out, api.Errorf(api.CodeTooLarge, "%s %s%s: the answer is longer than %d bytes", method, c.Base, path, answerMax)
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return out, api.Errorf(api.CodeInternal, "%s %s%s: the answer (%s) is not what a ConPaaS component says; check the address: %v",
			method, c.Base, path, answer.Header.Get("Content-Type"), err)
	}
	return out, nil
}

// Stream makes a call whose answer is read as it comes; the caller closes it. Its errors are those of Call. The stream ends
// with an error when ctx does.
func Stream(ctx context.Context, c *Client, method, path string, in any, opts ...Option) (io.ReadCloser, error) {
	answer, err := c.send(ctx, method, path, in, opts)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// send makes the request and gives the answer if it is a success.
func (c *Client) send(ctx context.Context, method, path string, in any, opts []Option) (*http.Response, error) {
	var body io.Reader
	kind := ""
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body, kind = in, "application/octet-stream"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: encode %T: %w", method, path, in, err)
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "%s %s%s: %v", method, c.Base, path, err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	if id := RequestID(ctx); id != "" {
		r.Header.Set(api.HeaderRequestID, id)
	}
	for _, option := range opts {
		option(r)
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return nil, c.trouble(ctx, method, path, err)
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		return nil, refusal(answer)
	}
	return answer, nil
}

// refusal reads the error that an answer carries.
func refusal(answer *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, problemMax))
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err == nil && (kind == problemType || kind == "application/json") {
		var problem api.Error
		if json.Unmarshal(body, &problem) == nil && problem.Code != "" {
			problem.Status = answer.StatusCode
			return &problem
		}
	}
	e := api.Errorf(api.CodeOf(answer.StatusCode), "%s %s: the answer is %q, no problem document: %.200s",
		answer.Request.Method, answer.Request.URL.Redacted(), answer.Status, strings.TrimSpace(string(body)))
	e.Status = answer.StatusCode
	return &strangeAnswer{problem: e}
}

// callError is a call that got no answer: an *api.Error for programs and people, and its cause for errors.Is.
type callError struct {
	problem *api.Error
	cause   error
}

func (e *callError) Error() string   { return e.problem.Error() }
func (e *callError) Unwrap() []error { return []error{e.problem, e.cause} }

// trouble makes the error of a call that was not answered wholly.
func (c *Client) trouble(ctx context.Context, method, path string, err error) error {
	if already, ok := errors.AsType[*api.Error](err); ok {
		return &callError{problem: already, cause: err}
	}
	if ended := ctx.Err(); ended != nil {
		code := api.CodeUnavailable
		if errors.Is(ended, context.DeadlineExceeded) {
			code = api.CodeTimeout
		}
		return &callError{problem: api.Errorf(code, "%s %s%s: %v", method, c.Base, path, ended), cause: ended}
	}
	problem := api.Errorf(api.CodeUnavailable, "%s %s%s: %v", method, c.Base, path, inner(err))
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		problem.Retry = false
	}
	return &callError{problem: problem, cause: err}
}

// inner strips the method and URL that net/http puts before an error: trouble names them itself.
func inner(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
