package stream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/marathon"

	"github.com/rs/zerolog"
)

const fuzzLimit = 4 << 10

// FuzzSubscriber takes any bytes for a stream, in reads of any size. What the
// Handler is told must be what the rules of SSE, applied to those bytes by a
// second and simpler reader, and Decode make of them.
func FuzzSubscriber(f *testing.F) {
	files, err := filepath.Glob("../testdata/sse/*.sse")
	if err != nil || len(files) == 0 {
		f.Fatalf("no recorded streams: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body[:min(len(body), 2*fuzzLimit)], 1000)
	}
	f.Add([]byte(attached("a")+changed("app.1")+"\r\n\r\ndata: "+strings.Repeat("x", fuzzLimit)+"\n\ndata\r\rdata: {}\n\n"), 7)
	f.Add([]byte("retry: oversize 7\ndata: {\"eventType\":\"a\"}\n\nid: 1\nevent:a\nevent: b\ndata:{}\ndata\n\n"), 1)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		got := &verbatim{}
		s, err := New(Config{
			URLs: parse(t, one), IdleTimeout: time.Minute, MaxEvent: fuzzLimit, Log: zerolog.Nop(),
			Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK,
					Header:     http.Header{"Content-Type": {"text/event-stream"}},
					Body:       io.NopCloser(inReadsOf{bytes.NewReader(body), max(1, size)}),
				}, nil
			}),
		}, got)
		if err != nil {
			t.Fatal(err)
		}
		s.round(t.Context(), newReport(zerolog.Nop(), got), newRetry(time.Now()), 0)
		if want := expected(body); !slices.Equal(got.told, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(got.told, "\n"), strings.Join(want, "\n"))
		}
	})
}

type inReadsOf struct {
	io.Reader
	size int
}

func (r inReadsOf) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.size)]) }

// verbatim is a Handler that notes whole events.
type verbatim struct{ told []string }

func (v *verbatim) Connected(string)           {}
func (v *verbatim) Disconnected(Gap)           {}
func (v *verbatim) Missed(gap Gap)             { v.told = append(v.told, string(gap.Cause)) }
func (v *verbatim) Event(event marathon.Event) { v.told = append(v.told, fmt.Sprintf("%#v", event)) }

// expected reads a whole stream at once, line by line.
func expected(body []byte) (told []string) {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(body))
	lines := strings.Split(text, "\n")
	var event []string
	for _, line := range lines[:len(lines)-1] { // The last has no end.
		if line != "" {
			event = append(event, line)
			continue
		}
		if verdict := judge(event); verdict != "" {
			told = append(told, verdict)
		}
		event = nil
	}
	return told
}

// judge says what the Handler should be told of one event, "" for nothing.
func judge(lines []string) string {
	var kind, retry string
	var data []string
	size := 0
	for _, line := range lines {
		size += len(line) + 1
		field, value, colon := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "data":
			data = append(data, value)
		case field == "event" && colon:
			kind = value
		case field == "retry" && colon:
			retry = value
		}
	}
	// A retry field that looks like our own note is taken for one.
	if _, note := noted([]byte(retry)); note || size > fuzzLimit {
		return string(Oversize)
	}
	joined := strings.Join(data, "\n")
	if joined == "" {
		return ""
	}
	event, err := marathon.Decode(kind, []byte(joined))
	if err != nil {
		return string(Undecodable)
	}
	return fmt.Sprintf("%#v", event)
}
