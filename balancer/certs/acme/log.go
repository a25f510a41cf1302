package acme

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// forwardTo returns a logger for certmagic that writes to ours. What certmagic tells step by step is for debugging. failed is told
// of each line with an error, and after how long what failed is tried again; 0 if the line does not say so.
func forwardTo(log *slog.Logger, failed func(line string, err error, again time.Duration)) *zap.Logger {
	return zap.New(core{log, failed})
}

// core is a [zapcore.Core] in front of a [slog.Logger].
type core struct {
	log    *slog.Logger
	failed func(line string, err error, again time.Duration)
}

// levels are those of certmagic in ours.
var levels = map[zapcore.Level]slog.Level{
	zapcore.DebugLevel: slog.LevelDebug, zapcore.InfoLevel: slog.LevelInfo, zapcore.WarnLevel: slog.LevelWarn,
}

func levelOf(l zapcore.Level) slog.Level {
	if ours, ok := levels[l]; ok {
		return ours
	}
	return slog.LevelError
}

// Enabled implements [zapcore.Core]. Errors are looked at even if nobody wants them logged: they say what is tried again.
func (c core) Enabled(l zapcore.Level) bool {
	return levelOf(l) >= slog.LevelError || c.log.Enabled(context.Background(), levelOf(l))
}

// With implements [zapcore.Core].
func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{slog.New(c.log.Handler().WithAttrs(attrs(fields))), c.failed}
}

// Check implements [zapcore.Core].
func (c core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements [zapcore.Core].
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if again, err := failureOf(fields); err != nil && levelOf(e.Level) >= slog.LevelError {
		c.failed(e.Message, err, again)
	}
	c.log.LogAttrs(context.Background(), levelOf(e.Level), e.Message, attrs(fields)...)
	return nil
}

// failureOf is the error in a line of certmagic, nil if there is none, and after how long there is another try.
func failureOf(fields []zapcore.Field) (again time.Duration, err error) {
	for _, f := range fields {
		switch {
		case f.Key == "retrying_in" && f.Type == zapcore.DurationType:
			again = time.Duration(f.Integer)
		case f.Key == "error" && f.Type == zapcore.ErrorType:
			err, _ = f.Interface.(error)
		}
	}
	return again, err
}

// Sync implements [zapcore.Core].
func (core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	var all []slog.Attr
	for _, f := range fields {
		values := zapcore.NewMapObjectEncoder()
		f.AddTo(values)
		for key, v := range values.Fields {
			all = append(all, slog.Any(key, v))
		}
	}
	return all
}

// cutShort passes on as debugging what says of something that a stop has cut short: a stop is no error, and neither is a reload
// that takes a host away. Both of the libraries tell of it as if it were one.
type cutShort struct {
	slog.Handler
	stopped context.Context // done when the Manager is stopped
}

// Handle implements [slog.Handler].
func (h cutShort) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug && h.stopped.Err() != nil && tellsOfStop(r) {
		if !h.Enabled(ctx, slog.LevelDebug) {
			return nil
		}
		r.Level = slog.LevelDebug
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h cutShort) WithAttrs(attrs []slog.Attr) slog.Handler {
	return cutShort{h.Handler.WithAttrs(attrs), h.stopped}
}

// WithGroup implements [slog.Handler].
func (h cutShort) WithGroup(name string) slog.Handler {
	return cutShort{h.Handler.WithGroup(name), h.stopped}
}

// tellsOfStop reports whether the error of a line is that of a context which was cancelled. certmagic does not always wrap it.
func tellsOfStop(r slog.Record) (yes bool) {
	r.Attrs(func(a slog.Attr) bool {
		yes = (a.Key == "error" || a.Key == "err") && strings.Contains(a.Value.String(), context.Canceled.Error())
		return !yes
	})
	return yes
}

// quiet passes on what acmez says from warnings upwards: it tells every request, and every nonce.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}
