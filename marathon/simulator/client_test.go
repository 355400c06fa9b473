package simulator_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"consular/marathon/simulator"
)

// serve starts a server for m that ends with the test.
func serve(t *testing.T, m *simulator.Marathon) string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	t.Cleanup(func() {
		m.StallStreams(false)
		m.CloseStreams()
		server.Close()
	})
	return server.URL
}

// heard is one event of a stream.
type heard struct {
	name string
	data map[string]any
	raw  string
}

// listener reads one stream, after its event_stream_attached.
type listener struct {
	body   io.ReadCloser
	reader *bufio.Reader
}

func listen(t *testing.T, url string, query ...string) *listener {
	t.Helper()
	return listenBy(t, http.DefaultClient, url, query...)
}

func listenBy(t *testing.T, client *http.Client, url string, query ...string) *listener {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/events"+strings.Join(query, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	l := &listener{body: response.Body, reader: bufio.NewReader(response.Body)}
	if first := l.next(t); first.name != "event_stream_attached" {
		t.Fatalf("first event is %s, want event_stream_attached", first.name)
	}
	return l
}

// next returns the next event; at the end of the stream one without a name.
func (l *listener) next(t *testing.T) heard {
	t.Helper()
	var h heard
	for {
		line, err := l.reader.ReadString('\n')
		if err != nil {
			return heard{}
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch {
		case line == "" && h.name != "":
			return h
		case strings.HasPrefix(line, "event: "):
			h.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			h.raw = line[len("data: "):]
			if err := json.Unmarshal([]byte(h.raw), &h.data); err != nil {
				t.Fatalf("data of %s: %v", h.name, err)
			}
		}
	}
}

// rest reads events until the stream ends.
func (l *listener) rest(t *testing.T) []heard {
	t.Helper()
	var all []heard
	for {
		h := l.next(t)
		if h.name == "" {
			return all
		}
		all = append(all, h)
	}
}

// record returns the events of what happens.
func record(t *testing.T, m *simulator.Marathon, happen func()) []heard {
	t.Helper()
	l := listen(t, serve(t, m))
	happen()
	m.CloseStreams()
	return l.rest(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get returns the status and body of a GET.
func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	return do(t, http.MethodGet, url, "")
}

func do(t *testing.T, method, url, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// page returns what a browser would be shown.
func page(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}
