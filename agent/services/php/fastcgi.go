package php

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"conpaas/agent/services/hosting"
)

// Records of FastCGI (FastCGI Specification 1.0, section 8).
const (
	fcgiVersion = 1
	fcgiBegin   = 1
	fcgiEnd     = 3
	fcgiParams  = 4
	fcgiStdin   = 5
	fcgiStdout  = 6
	fcgiMost    = 65535
)

// fpmStatus is what php-fpm says of itself.
type fpmStatus struct {
	Pool   string `json:"pool"`
	Active int    `json:"active processes"`
	Queue  int    `json:"listen queue"`
}

// askFPM asks at the socket that answers also while every worker is busy. The pool's name has the mark of the
// configuration.
func askFPM(ctx context.Context, p hosting.Site) (mark string, inFlight int, err error) {
	conn, err := dial(ctx, "unix", statusSocket(p))
	if err != nil {
		return "", 0, fmt.Errorf("ask php-fpm: %w", err)
	}
	defer conn.Close()
	const path = "/.conpaas/status"
	_, err = conn.Write(fcgiRequest([][2]string{
		{"REQUEST_METHOD", http.MethodGet}, {"SCRIPT_NAME", path}, {"SCRIPT_FILENAME", path}, {"QUERY_STRING", "json"}, {"SERVER_PROTOCOL", "HTTP/1.1"},
	}))
	if err != nil {
		return "", 0, fmt.Errorf("ask php-fpm: %w", err)
	}
	output, err := fcgiAnswer(conn)
	if err != nil {
		return "", 0, fmt.Errorf("ask php-fpm: %w", err)
	}
	answer := bufio.NewReader(bytes.NewReader(output))
	if _, err := textproto.NewReader(answer).ReadMIMEHeader(); err != nil {
		return "", 0, fmt.Errorf("read the answer of php-fpm: %w", err)
	}
	var status fpmStatus
	if err := json.NewDecoder(answer).Decode(&status); err != nil {
		return "", 0, fmt.Errorf("read the answer of php-fpm (%.200q): %w", output, err)
	}
	mark, _ = strings.CutPrefix(status.Pool, "php-")
	return mark, status.Active + status.Queue, nil
}

// fcgiRequest gives the records of a request without a body. The parameters are short: one byte holds each length.
func fcgiRequest(params [][2]string) []byte {
	var body []byte
	for _, p := range params {
		body = append(body, byte(len(p[0])), byte(len(p[1])))
		body = append(append(body, p[0]...), p[1]...)
	}
	request := fcgiRecord(fcgiBegin, []byte{0, 1, 0, 0, 0, 0, 0, 0}) // responder, the connection ends with it
	request = append(request, fcgiRecord(fcgiParams, body)...)
	request = append(request, fcgiRecord(fcgiParams, nil)...)
	return append(request, fcgiRecord(fcgiStdin, nil)...)
}

func fcgiRecord(kind byte, body []byte) []byte {
	record := []byte{fcgiVersion, kind, 0, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(record[4:], uint16(min(len(body), fcgiMost)))
	return append(record, body...)
}

// fcgiAnswer gives what came on standard output until the request ended.
func fcgiAnswer(r io.Reader) ([]byte, error) {
	var output []byte
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, fmt.Errorf("the answer breaks off: %w", err)
		}
		body := make([]byte, int(binary.BigEndian.Uint16(head[4:]))+int(head[6]))
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, fmt.Errorf("the answer breaks off: %w", err)
		}
		switch head[1] {
		case fcgiStdout:
			output = append(output, body[:len(body)-int(head[6])]...)
		case fcgiEnd:
			return output, nil
		}
		if len(output) > maxAnswer {
			return nil, errors.New("the answer is too long")
		}
	}
}
