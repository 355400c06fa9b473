package marathon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// addressJSON is one element of a task's ipAddresses.
type addressJSON struct {
	IPAddress string `json:"ipAddress"`
}

// addressesOf leaves out what holds no address: Mesos may list a network before
// it has given one.
func addressesOf(list []addressJSON) []string {
	var addresses []string
	for _, a := range list {
		if a.IPAddress != "" {
			addresses = append(addresses, a.IPAddress)
		}
	}
	return addresses
}

const maxPort = 65535

// checkPorts reports the first of a task's ports that cannot be one.
func checkPorts(ports []int) error {
	for _, p := range ports {
		if err := checkPort("ports", p); err != nil {
			return err
		}
	}
	return nil
}

func checkPort(field string, port int) error {
	if port < 0 || port > maxPort {
		return fmt.Errorf("field %s: %d is no port", field, port)
	}
	return nil
}

// missing is the error of a field that must not be absent or empty.
func missing(field string) error { return fmt.Errorf("field %s: missing or empty", field) }

// plain puts an error of encoding/json into words that need no knowledge of Go.
func plain(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	kind, _, _ := strings.Cut(wrong.Value, " ")
	if wrong.Field == "" {
		return fmt.Errorf("unexpected %s", kind)
	}
	return fmt.Errorf("field %s: unexpected %s", wrong.Field, kind)
}
