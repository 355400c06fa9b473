package simulator

// Faults of the event stream. They concern all streams that are open, or, for
// those with a switch, all while it is on.

// CloseStreams ends all streams cleanly, as a leader that abdicates does.
func (m *Marathon) CloseStreams() { m.endStreams(plainEnd) }

// CutStreams ends all streams in the middle of an event.
func (m *Marathon) CutStreams() { m.endStreams(halfEvent) }

// ResetStreams ends all streams with a TCP reset in the middle of an event.
func (m *Marathon) ResetStreams() { m.endStreams(reset) }

func (m *Marathon) endStreams(how ending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll(how)
}

func (m *Marathon) endAll(how ending) {
	for _, s := range m.streams.open {
		s.close(how)
	}
}

// StallStreams keeps streams open and writes nothing to them, heartbeats
// included: what a connection looks like whose other end has vanished. Events
// wait meanwhile, as many as Config.Queue.
func (m *Marathon) StallStreams(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case on && m.streams.stalled == nil:
		m.streams.stalled = make(chan struct{})
	case !on && m.streams.stalled != nil:
		close(m.streams.stalled)
		m.streams.stalled = nil
	}
}

// stalled returns what is closed when streams go on, nil if they do.
func (m *Marathon) stalled() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams.stalled
}

// RefuseStreams answers 503 to new streams.
func (m *Marathon) RefuseStreams(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams.refused = on
}

func (m *Marathon) refusing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams.refused
}

// DropEvents loses events without a sign, as Marathon before 1.8 did.
func (m *Marathon) DropEvents(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams.dropping = on
}

// Inject writes raw bytes to all streams, between two events.
func (m *Marathon) Inject(raw []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams.open {
		s.offer(raw, m.config.TaskEra)
	}
}

// Streams returns how many streams are attached.
func (m *Marathon) Streams() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.streams.open)
}
