package stream

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/r3labs/sse/v2"
)

// pieces is what Read returned, each call by itself.
func pieces(t *testing.T, body io.Reader) []string {
	t.Helper()
	var got []string
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			got = append(got, string(buf[:n]))
		}
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil || n == 0 {
			t.Fatalf("read %d bytes and %v", n, err)
		}
	}
}

func TestWholeEvents(t *testing.T) {
	const limit = 20
	const a, b = "event: a\ndata: 1\n\n", "data: 2\n\n"
	for name, c := range map[string]struct {
		bytes  string
		want   []string
		cutOff bool
	}{
		"nothing":                {"", nil, false},
		"CRLF":                   {"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", []string{a, b}, false},
		"LF":                     {a + b, []string{a, b}, false},
		"CR":                     {"event: a\rdata: 1\r\rdata: 2\r\r", []string{a, b}, false},
		"mixed":                  {"event: a\ndata: 1\r\n\rdata: 2\r\n\n", []string{a, b}, false},
		"heartbeats":             {"\r\n\r\n" + a + "\r\n\r\n" + b + "\r\n", []string{a, b}, false},
		"ends in a field":        {a + "data", []string{a}, true},
		"ends in a line":         {a + "data: 2", []string{a}, true},
		"ends after a line":      {a + "data: 2\r\n", []string{a}, true},
		"ends within its end":    {a + "data: 2\r\n\r", []string{a, b}, false},
		"ends in a heartbeat":    {a + "\r", []string{a}, false},
		"just over the limit":    {"data: 34567890123456\n\n" + b, []string{"retry: oversize 21\n\n", b}, false},
		"just at the limit":      {"data: 3456789012345\n\n" + b, []string{"data: 3456789012345\n\n", b}, false},
		"over, with type":        {"event: a\ndata: 2345678901\n\n" + b, []string{"event: a\nretry: oversize 26\n\n", b}, false},
		"over in its first line": {"data: " + strings.Repeat("x", 100) + "\r\n\r\n" + b, []string{"retry: oversize 107\n\n", b}, false},
		"over and cut off":       {"data: " + strings.Repeat("x", 100) + "\r\n", nil, true},
		"over twice":             {strings.Repeat("data: "+strings.Repeat("x", 50)+"\n\n", 2), []string{"retry: oversize 57\n\n", "retry: oversize 57\n\n"}, false},
	} {
		for reader, source := range map[string]io.Reader{
			"whole":  strings.NewReader(c.bytes),
			"single": iotest.OneByteReader(strings.NewReader(c.bytes)),
			"at end": iotest.DataErrReader(strings.NewReader(c.bytes)),
		} {
			body := newWholeEvents(io.NopCloser(source), limit, func() {})
			if got := pieces(t, body); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: read %q, want %q", name, reader, got, c.want)
			}
			if body.cutOff() != c.cutOff {
				t.Errorf("%s, %s: cut off is %v", name, reader, body.cutOff())
			}
		}
	}
}

// A heartbeat is no event, and still a sign of life.
func TestEveryByteIsHeard(t *testing.T) {
	heard := 0
	body := newWholeEvents(io.NopCloser(iotest.OneByteReader(strings.NewReader("\r\n\r\nda"))), 100, func() { heard++ })
	if got := pieces(t, body); got != nil || heard != 6 {
		t.Errorf("read %q and heard %d times, want nothing and 6", got, heard)
	}
}

func TestMemoryIsReleasedAfterALargeEvent(t *testing.T) {
	large := "data: " + strings.Repeat("x", 1<<20) + "\n\n"
	body := newWholeEvents(io.NopCloser(strings.NewReader(large+"data: 1\n\n")), 2<<20, func() {})
	pieces(t, body)
	if kept := cap(body.event); kept > keepSize {
		t.Errorf("keeps %d bytes", kept)
	}
}

// BenchmarkBacklog reads 5,000 events that wait behind one of 4 MiB, in three
// ways (sse.md, row 4). r3labs' reader searches all it holds for each event, and
// its buffer, once large, is filled as far as Read allows.
func BenchmarkBacklog(b *testing.B) {
	const events = 5000
	backlog := "data: " + strings.Repeat("x", 4<<20) + "\r\n\r\n" +
		strings.Repeat("data: "+strings.Repeat("x", 390)+"\r\n\r\n", events)
	for _, way := range []struct {
		name string
		body func(io.Reader) io.Reader
	}{
		{"library alone", func(r io.Reader) io.Reader { return r }},
		{"reads of 16 KiB", func(r io.Reader) io.Reader { return capped{r} }},
		{"whole events", func(r io.Reader) io.Reader {
			return newWholeEvents(io.NopCloser(r), 8<<20, func() {})
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				reader := sse.NewEventStreamReader(way.body(strings.NewReader(backlog)), 8<<20)
				n := 0
				for _, err := reader.ReadEvent(); err == nil; _, err = reader.ReadEvent() {
					n++
				}
				if n != events+1 {
					b.Fatal("read " + strconv.Itoa(n) + " events")
				}
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

type capped struct{ io.Reader }

func (c capped) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), readSize)]) }
