package eventstoretest

import "github.com/logoutd/logoutd/eventstore"

func loadClauses() []Clause {
	return []Clause{
		{"E8", "a stream that does not exist loads without an error", loadNothing},
		{"E8", "a load is enough to fold the stream", loadFolds},
		{"E8", "a refused or repeated append leaves the snapshot alone", loadAfterRefusal},
	}
}

func loadNothing(e *env) {
	e.grow(e.stream("a"), 1)
	for _, s := range []string{e.stream("none"), e.stream(""), e.stream("a") + "a"} {
		l := e.load(s)
		if l.Revision != eventstore.NoStream || l.Position != 0 || l.Snapshot != nil || len(l.Events) != 0 {
			e.Errorf("%s does not exist and loads as %+v", s, l)
		}
	}
}

// loaded demands that a load says where a stream is, and gives all of it: either its events, or the snapshot
// of its last append and nothing else.
func (e *env) loaded(stream string, snapshot []byte, last eventstore.Result) {
	e.Helper()
	l := e.load(stream)
	if l.Revision != eventstore.AtRevision(last.Revision) || l.Position != last.Position {
		e.Errorf("load answers revision %s, position %s; the stream is at %+v", l.Revision, l.Position, last)
	}
	all := e.read(stream)
	if l.Snapshot != nil {
		if snapshot == nil || string(l.Snapshot) != string(snapshot) {
			e.Errorf("load answers the snapshot %q; the last append carried %q", l.Snapshot, snapshot)
		}
		all = nil
	}
	if len(l.Events) != len(all) {
		e.Errorf("load answers %d events, %d are to be folded", len(l.Events), len(all))
		return
	}
	for i, r := range l.Events {
		if !same(r, all[i].Event) || r.Revision != all[i].Revision || r.Position != all[i].Position || r.Stream != stream {
			e.Errorf("event %d of the load is %+v, want %+v", i, r, all[i])
		}
	}
}

func loadFolds(e *env) {
	s := e.stream("folded")
	for _, snapshot := range [][]byte{nil, []byte("one"), []byte("two"), nil, nil, []byte("\x00\xff"), nil, []byte("last")} {
		a := e.batch(s, eventstore.Any, 2)
		a.Snapshot = snapshot
		e.loaded(s, snapshot, e.must(a))
	}
}

func loadAfterRefusal(e *env) {
	s := e.stream("kept")
	first := e.batch(s, eventstore.NoStream, 1)
	first.Snapshot = []byte("first")
	e.must(first)
	second := e.batch(s, eventstore.Any, 1)
	second.Snapshot = []byte("second")
	at := e.must(second)

	conflict := e.batch(s, eventstore.NoStream, 1)
	conflict.Snapshot = []byte("refused")
	if _, err := e.store.Append(e.ctx, conflict); err == nil {
		e.Errorf("a wrong expectation was accepted")
	}
	e.loaded(s, second.Snapshot, at)
	first.Snapshot = []byte("repeated")
	if res, err := e.store.Append(e.ctx, first); err != nil || !res.Duplicate {
		e.Errorf("repeated append answers %+v, %v", res, err)
	}
	e.loaded(s, second.Snapshot, at)
	dropped := e.batch(s, eventstore.Any, 1)
	e.loaded(s, nil, e.must(dropped))
}
