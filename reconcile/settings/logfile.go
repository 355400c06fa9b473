package settings

import (
	"context"
	"os"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
)

// logFile is a file that may be opened anew while it is written to.
type logFile struct {
	name string

	mu   sync.Mutex
	file *os.File
}

func openLogFile(name string) (*logFile, error) {
	file, err := openToAppend(name)
	if err != nil {
		return nil, err
	}
	return &logFile{name: name, file: file}, nil
}

// openToAppend fails on a FIFO that nobody reads: without O_NONBLOCK it would wait.
func openToAppend(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o644)
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}

// reopen opens the file that has the name now. When that fails the old one stays.
func (l *logFile) reopen() error {
	file, err := openToAppend(l.name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.Close()
	l.file = file
	return nil
}

// follow opens the file anew at each hangup until ctx ends. Without a file, which is
// nil, there is nothing to do but to have heard it.
func (l *logFile) follow(ctx context.Context, hangups <-chan os.Signal, log zerolog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		if l == nil {
			log.Debug().Msg("SIGHUP: there is no --logfile to be opened anew")
			continue
		}
		if err := l.reopen(); err != nil {
			log.Error().Err(err).Str("file", l.name).Msg("log file not opened anew: the old one is still written to")
			continue
		}
		log.Info().Str("file", l.name).Msg("log file opened anew")
	}
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.Close()
}
