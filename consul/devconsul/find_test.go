package devconsul

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestFindNamedBinary(t *testing.T) {
	if got, err := Find(t.Context(), "sh", os.Stderr); err != nil || !strings.HasSuffix(got, "/sh") {
		t.Errorf("found %q, %v", got, err)
	}
	if _, err := Find(t.Context(), "/nowhere/consul", os.Stderr); err == nil || !strings.Contains(err.Error(), "/nowhere/consul") {
		t.Errorf("want an error that names the file, got: %v", err)
	}
}

func TestFindPrefersPath(t *testing.T) {
	dir := t.TempDir()
	want := filepath.Join(dir, "consul")
	writeFile(t, want, "#!/bin/sh\n", 0o700)
	t.Setenv("PATH", dir)
	if got, err := Find(t.Context(), "", os.Stderr); err != nil || got != want {
		t.Errorf("found %q, %v", got, err)
	}
}

func TestFindOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	if _, err := Find(t.Context(), "", os.Stderr); err == nil || !strings.Contains(err.Error(), "no consul binary") {
		t.Errorf("want a clear error, got: %v", err)
	}
}

// The name of the binary, and what is said while it is built, tell the version that it is.
func TestVersionIsThePinnedOne(t *testing.T) {
	for _, p := range []pinned{consul, consulTemplate} {
		module, err := p.findModule()
		if err != nil {
			t.Fatal(err)
		}
		version, err := exec.Command("go", "list", "-C", module, "-m", "-f", "{{.Version}}", p.source).Output()
		if err != nil || strings.TrimSpace(string(version)) != "v"+p.version {
			t.Errorf("pinned is %s %s, %v; want v%s", p.name, version, err, p.version)
		}
	}
}

// Many test programs start at once; the first time one of them builds.
func TestBuildHappensOnce(t *testing.T) {
	module := smallModule(t, "package main\n\nfunc main() {}\n")
	var group sync.WaitGroup
	var progress [3]bytes.Buffer
	for i := range progress {
		group.Go(func() {
			binary, err := consul.build(t.Context(), module, &progress[i])
			if err != nil {
				t.Error(err)
				return
			}
			if output, err := exec.Command(binary).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	group.Wait()
	builds := 0
	for i := range progress {
		builds += strings.Count(progress[i].String(), "building consul")
	}
	if builds != 1 {
		t.Errorf("built %d times", builds)
	}
}

func TestBuildFailureIsToldAndLeavesNothing(t *testing.T) {
	module := smallModule(t, "package main\n\nfunc main() { nonsense }\n")
	var progress bytes.Buffer
	_, err := consul.build(t.Context(), module, &progress)
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("want the compiler's error, got: %v", err)
	}
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file.Name()) != ".lock" {
			t.Errorf("left %s", file.Name())
		}
	}
}

// smallModule returns a module that stands in for Consul's, which takes minutes,
// and makes the user's cache directory an empty one.
func smallModule(t *testing.T, source string) string {
	t.Helper()
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(gocache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	module := t.TempDir()
	writeFile(t, filepath.Join(module, "go.mod"), "module github.com/hashicorp/consul\n\ngo 1.26\n", 0o600)
	writeFile(t, filepath.Join(module, "go.sum"), "", 0o600)
	writeFile(t, filepath.Join(module, "main.go"), source, 0o600)
	return module
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
