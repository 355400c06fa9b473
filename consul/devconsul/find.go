package devconsul

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// version is that of Consul in testdata/consul/go.mod. It is open source, MPL-2.0, and so
// is all that it needs: from 1.15 on some of that is not, and from 1.17 on Consul is not.
const version = "1.14.11"

const (
	lockEvery     = 200 * time.Millisecond
	progressEvery = 15 * time.Second
)

// Find returns the path of a Consul binary: bin if it is not "", else consul
// from PATH, whatever its version, else, in a checkout of consular, the pinned version,
// which it builds once and keeps in the user's cache directory. A build takes minutes and
// says so on progress; of several callers at once, one builds.
func Find(ctx context.Context, bin string, progress io.Writer) (string, error) {
	if bin != "" {
		path, err := exec.LookPath(bin)
		if err != nil {
			return "", fmt.Errorf("consul binary %q: %w", bin, err)
		}
		return path, nil
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path, nil
	}
	module, err := findModule()
	if err != nil {
		return "", err
	}
	return build(ctx, module, progress)
}

// findModule returns the directory of the Go module that pins Consul, looking
// upwards from the working directory.
func findModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for testdata/consul: %w", err)
	}
	for {
		module := filepath.Join(dir, "testdata", "consul")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no consul binary: not in PATH, none named, and this is no checkout of consular to build one from")
		}
		dir = filepath.Dir(dir)
	}
}

// build returns the binary built from the module, from the cache if it is there.
func build(ctx context.Context, module string, progress io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := moduleKey(module)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "consul-"+version+"-"+key)
	if built(binary) {
		return binary, nil
	}
	lock, err := waitLock(ctx, binary+".lock", progress)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if built(binary) {
		return binary, nil
	}
	if err := goBuild(ctx, module, binary, progress); err != nil {
		return "", fmt.Errorf("build consul %s: %w", version, err)
	}
	return binary, nil
}

func built(binary string) bool {
	_, err := os.Stat(binary)
	return !errors.Is(err, fs.ErrNotExist)
}

// moduleKey is another one for other sources.
func moduleKey(module string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("read what pins consul: %w", err)
		}
		hash.Write(data) // never fails
	}
	return fmt.Sprintf("%x", hash.Sum(nil))[:12], nil
}

func goBuild(ctx context.Context, module, binary string, progress io.Writer) error {
	// Under another name until it is whole: a build may be interrupted.
	partial := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer func() { _ = os.Remove(partial) }() // gone already when all went well
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-ldflags=-s -w", "-o", partial, "github.com/hashicorp/consul")
	cmd.WaitDelay = time.Second // for compilers that outlive an interrupted go
	// The caller's flags are for his module: -mod=vendor would fail here.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	fmt.Fprintf(progress, "building Consul %s, about four minutes, once\n", version)
	stop := every(progressEvery, func(since time.Duration) {
		fmt.Fprintf(progress, "still building Consul, %s\n", since.Round(time.Second))
	})
	output, err := cmd.CombinedOutput()
	stop()
	if err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(output))
	}
	return os.Rename(partial, binary)
}

// waitLock takes the lock of a file, as soon as nobody else has it. It lasts
// until the file is closed or the program ends, however that happens.
func waitLock(ctx context.Context, path string, progress io.Writer) (*os.File, error) {
	stop := every(progressEvery, func(since time.Duration) {
		fmt.Fprintf(progress, "waiting for another program that builds Consul, %s\n", since.Round(time.Second))
	})
	defer stop()
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the build of consul: %w", context.Cause(ctx))
		case <-time.After(lockEvery):
		}
	}
}

// tryLock fails with EWOULDBLOCK when somebody else has the lock.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place to keep consul: %w", err)
	}
	dir = filepath.Join(dir, "consular")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("find a place to keep consul: %w", err)
	}
	return dir, nil
}

// every calls f at each interval until stop is called, and not after that.
func every(interval time.Duration, f func(since time.Duration)) (stop func()) {
	start, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				f(time.Since(start))
			}
		}
	}()
	return func() { close(done); <-ended }
}
