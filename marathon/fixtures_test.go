package marathon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture returns a file below the repository's testdata.
func fixture(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fixtures returns the paths of all files below testdata/dir that end with suffix.
func fixtures(t testing.TB, dir, suffix string) []string {
	t.Helper()
	var paths []string
	root := os.DirFS(filepath.Join("..", "testdata"))
	err := fs.WalkDir(root, dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, suffix) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no %s below testdata/%s", suffix, dir)
	}
	return paths
}

// frame is one event of a recorded stream.
type frame struct{ name, data string }

// frames takes a recorded stream apart. What is cut off at its end is not in it.
func frames(stream []byte) []frame {
	var all []frame
	var f frame
	lines := strings.Split(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			f.name = name
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			f.data += data
		}
		if line == "" && f.data != "" {
			all = append(all, f)
		}
		if line == "" {
			f = frame{}
		}
	}
	return all
}

// allFrames returns every event of every fixture.
func allFrames(t testing.TB) []frame {
	t.Helper()
	var all []frame
	for _, dir := range []string{"live", "sse"} {
		for _, path := range fixtures(t, dir, ".sse") {
			all = append(all, frames(fixture(t, path))...)
		}
	}
	for _, path := range fixtures(t, "events", ".json") {
		all = append(all, frame{data: string(fixture(t, path))})
	}
	return all
}
