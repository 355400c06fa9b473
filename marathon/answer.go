package marathon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// Info is what a Marathon says of itself.
type Info struct {
	// Version is like "1.7.174" or "0.11.1".
	Version string
	// FrameworkID is "" while Marathon is not registered with Mesos.
	FrameworkID string
}

const (
	// maxRefusal is how much is read of an answer that is an error. It has room for
	// a message that names a very long app ID, each character of it escaped.
	maxRefusal = 64 << 10
	// maxID is how long the ID of another app may be to be named.
	maxID = 200
)

// refused returns why resp is not an answer of Marathon to read on. For a 404
// about appID in Marathon's own words that is ErrNotFound; proxies have other
// words for a URL they do not know.
func refused(resp *http.Response, appID string) error {
	mediaType := mediaTypeOf(resp)
	if resp.StatusCode == http.StatusOK {
		if mediaType != "application/json" {
			return fmt.Errorf("answered %s with %s instead of application/json", resp.Status, orNothing(mediaType))
		}
		return nil
	}
	message := messageOf(resp, mediaType)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w: %w", ErrForbidden, refusal(resp, mediaType, message))
	}
	if resp.StatusCode == http.StatusNotFound && saysMissing(message, appID) {
		return ErrNotFound
	}
	return refusal(resp, mediaType, message)
}

// refusal says what was answered instead.
func refusal(resp *http.Response, mediaType, message string) error {
	switch {
	case message != "":
		return fmt.Errorf("answered %s: %q", resp.Status, message)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("answered %s to %s, which is not followed", resp.Status, locationOf(resp))
	default:
		return fmt.Errorf("answered %s with %s", resp.Status, orNothing(mediaType))
	}
}

// saysMissing reports whether message is the one that Marathon has for an app,
// or a version of it, that does not exist.
func saysMissing(message, appID string) bool {
	return appID != "" && strings.Contains(message, "'"+appID+"' does not exist")
}

func mediaTypeOf(resp *http.Response) string {
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

func orNothing(mediaType string) string {
	if mediaType == "" {
		return "no media type"
	}
	return mediaType
}

// messageOf returns the message within a JSON error, "" if there is none. It
// reads the body, so that the connection can be used again.
func messageOf(resp *http.Response, mediaType string) string {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var answer struct {
		Message string `json:"message"`
	}
	if err != nil || mediaType != "application/json" || json.Unmarshal(data, &answer) != nil {
		return ""
	}
	return answer.Message
}

// locationOf says where a redirect leads, without what may be secret in it.
func locationOf(resp *http.Response) string {
	location, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	shown := url.URL{Scheme: location.Scheme, Host: location.Host, Path: location.Path}
	return shown.String()
}

// tooLarge puts the error of a MaxBytesReader into words; others stay as they are.
func tooLarge(err error) error {
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fmt.Errorf("answer is larger than %d bytes: --max-answer", limit.Limit)
	}
	return err
}

// notUsable says where an error happened, and calls a cut answer by its name.
func notUsable(json *scanner, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("answer is not usable after %d bytes: %w", json.offset(), err)
}

// readApp reads the answer to GET /v2/apps/{id}.
func readApp(r io.Reader, id string) (App, error) {
	apps := newAppsReader(newScanner(r))
	var a *appJSON
	var wrong error
	err := apps.json.object(func(name []byte) (err error) {
		if string(name) != "app" {
			return apps.json.value()
		}
		if a != nil {
			return errors.New(`field "app" is there twice`)
		}
		a, wrong, err = apps.read()
		return err
	})
	if err == nil {
		err = apps.json.end()
	}
	if err == nil && a == nil {
		err = errors.New(`field "app" is missing`)
	}
	if err != nil {
		return App{}, notUsable(apps.json, err)
	}
	return asked(a, wrong, id, func() (App, error) { return a.app(apps.one) })
}

// readVersion reads the answer to GET /v2/apps/{id}/versions/{version}, which
// is an app that is not wrapped in anything.
func readVersion(r io.Reader, id string) (Definition, error) {
	apps := newAppsReader(newScanner(r))
	a, wrong, err := apps.read()
	if err == nil {
		err = apps.json.end()
	}
	if err != nil {
		return Definition{}, notUsable(apps.json, err)
	}
	return asked(a, wrong, id, func() (Definition, error) { return a.definition(apps.one) })
}

// asked returns what is read of an app if it is understood and is the one that was asked for.
func asked[T any](a *appJSON, wrong error, id string, read func() (T, error)) (T, error) {
	var zero T
	if wrong != nil {
		return zero, fmt.Errorf("answer is not usable: %w", wrong)
	}
	if err := sameApp(a.ID, id); err != nil {
		return zero, err
	}
	return read()
}

func sameApp(got, asked string) error {
	switch {
	case got == asked:
		return nil
	case len(got) > maxID:
		return fmt.Errorf("answer is about another app, with an ID of %d bytes", len(got))
	}
	return fmt.Errorf("answer is about app %q", got)
}

type infoJSON struct {
	Version     string `json:"version"`
	FrameworkID string `json:"frameworkId"`
}

// readInfo reads the answer to GET /v2/info.
func readInfo(r io.Reader) (Info, error) {
	json := newScanner(r)
	fields := newPick[infoJSON](json)
	var info infoJSON
	err := fields.read(fields.member)
	if err == nil {
		err = json.end()
	}
	if err == nil {
		err = fields.decode(&info)
	}
	if err != nil {
		return Info{}, notUsable(json, err)
	}
	if info.Version == "" {
		return Info{}, errors.New(`answer is not usable: field "version" is missing`)
	}
	return Info(info), nil
}
