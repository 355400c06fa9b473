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

// pinned is a program that a Go module below testdata pins.
type pinned struct {
	// name is that of the binary, of the module's directory, and of the program
	// in errors; source is its package, version what the module requires.
	name, source, version string
	// takes says how long a build takes, cold, on two cores.
	takes string
}

// consul is open source, MPL-2.0, and so is all that it needs: from 1.15 on some of that
// is not, and from 1.17 on Consul is not. consul-template is, in all versions.
var (
	consul         = pinned{"consul", "github.com/hashicorp/consul", "1.14.11", "about four minutes"}
	consulTemplate = pinned{"consul-template", "github.com/hashicorp/consul-template", "0.41.4", "about half a minute"}
)

const (
	lockEvery     = 200 * time.Millisecond
	progressEvery = 15 * time.Second
)

// Find returns the path of a Consul binary: bin if it is not "", else consul
// from PATH, whatever its version, else, in a checkout of consular, the pinned version,
// which it builds once and keeps in the user's cache directory. A build takes minutes and
// says so on progress; of several callers at once, one builds.
func Find(ctx context.Context, bin string, progress io.Writer) (string, error) {
	return consul.find(ctx, bin, progress)
}

// FindTemplate is Find for consul-template.
func FindTemplate(ctx context.Context, bin string, progress io.Writer) (string, error) {
	return consulTemplate.find(ctx, bin, progress)
}

func (p pinned) find(ctx context.Context, bin string, progress io.Writer) (string, error) {
	if bin != "" {
		path, err := exec.LookPath(bin)
		if err != nil {
			return "", fmt.Errorf("%s binary %q: %w", p.name, bin, err)
		}
		return path, nil
	}
	if path, err := exec.LookPath(p.name); err == nil {
		return path, nil
	}
	module, err := p.findModule()
	if err != nil {
		return "", err
	}
	return p.build(ctx, module, progress)
}

// findModule returns the directory of the Go module that pins the program,
// looking upwards from the working directory.
func (p pinned) findModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for testdata/%s: %w", p.name, err)
	}
	for {
		module := filepath.Join(dir, "testdata", p.name)
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no %s binary: not in PATH, none named, and this is no checkout of consular to build one from", p.name)
		}
		dir = filepath.Dir(dir)
	}
}

// build returns the binary built from the module, from the cache if it is there.
func (p pinned) build(ctx context.Context, module string, progress io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := p.key(module)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, p.name+"-"+p.version+"-"+key)
	if built(binary) {
		return binary, nil
	}
	lock, err := p.waitLock(ctx, binary+".lock", progress)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if built(binary) {
		return binary, nil
	}
	if err := p.goBuild(ctx, module, binary, progress); err != nil {
		return "", fmt.Errorf("build %s %s: %w", p.name, p.version, err)
	}
	return binary, nil
}

func built(binary string) bool {
	_, err := os.Stat(binary)
	return !errors.Is(err, fs.ErrNotExist)
}

// key is another one for other sources.
func (p pinned) key(module string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("read what pins %s: %w", p.name, err)
		}
		hash.Write(data) // never fails
	}
	return fmt.Sprintf("%x", hash.Sum(nil))[:12], nil
}

func (p pinned) goBuild(ctx context.Context, module, binary string, progress io.Writer) error {
	// Under another name until it is whole: a build may be interrupted.
	partial := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer func() { _ = os.Remove(partial) }() // gone already when all went well
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-ldflags=-s -w", "-o", partial, p.source)
	cmd.WaitDelay = time.Second // for compilers that outlive an interrupted go
	// The caller's flags are for his module: -mod=vendor would fail here.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	fmt.Fprintf(progress, "building %s %s, %s, once\n", p.name, p.version, p.takes)
	stop := every(progressEvery, func(since time.Duration) {
		fmt.Fprintf(progress, "still building %s, %s\n", p.name, since.Round(time.Second))
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
func (p pinned) waitLock(ctx context.Context, path string, progress io.Writer) (*os.File, error) {
	stop := every(progressEvery, func(since time.Duration) {
		fmt.Fprintf(progress, "waiting for another program that builds %s, %s\n", p.name, since.Round(time.Second))
	})
	defer stop()
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the build of %s: %w", p.name, context.Cause(ctx))
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
		return "", fmt.Errorf("find a place to keep what is built: %w", err)
	}
	dir = filepath.Join(dir, "consular")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("find a place to keep what is built: %w", err)
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
