package heartbeat

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxText is how much of a file's text is looked at.
const maxText = 4 << 10

// Check reports whether the process that writes the file is well: whether the last heartbeat
// is at most maxAge old, and not of the future. When strict, it must also say that nothing is wrong.
// The text is one line for people.
func Check(file string, maxAge time.Duration, strict bool) (text string, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("no heartbeat: %w", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("no heartbeat: %s is a directory", file)
	}
	says, errRead := readText(file)
	age := time.Since(info.ModTime())
	shown := age.Round(100 * time.Millisecond)
	switch {
	case age < 0:
		return "", fmt.Errorf("the heartbeat is %v in the future: has the clock been set?", -shown)
	case age > maxAge:
		return "", fmt.Errorf("the last heartbeat is %v old, more than %v%s", shown, maxAge, says)
	case strict && errRead != nil:
		return "", fmt.Errorf("read heartbeat: %w", errRead)
	case strict && says != "":
		return "", fmt.Errorf("heartbeat %v old%s", shown, says)
	}
	return fmt.Sprintf("heartbeat %v old%s", shown, says), nil
}

// readText returns what a file says is wrong, as the end of a line; "" for nothing.
func readText(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	switch {
	case err != nil:
		return "", err
	case len(text) == 0:
		return "", errors.New("it is empty")
	case string(text) == well:
		return "", nil
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(text), "?")), "\n")
	return "; " + strings.Join(lines, "; "), nil
}
