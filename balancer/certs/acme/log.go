package acme

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// forwardTo returns a logger for certmagic that writes to ours. What certmagic tells step by step is for debugging. retry is told
// of each line that says after how long something is tried again, and why it has to be.
func forwardTo(log *slog.Logger, retry func(err error, in time.Duration)) *zap.Logger {
	return zap.New(core{log, retry})
}

// core is a [zapcore.Core] in front of a [slog.Logger].
type core struct {
	log   *slog.Logger
	retry func(err error, in time.Duration)
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
	return core{slog.New(c.log.Handler().WithAttrs(attrs(fields))), c.retry}
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
	if err, in := retryOf(fields); in > 0 {
		c.retry(err, in)
	}
	c.log.LogAttrs(context.Background(), levelOf(e.Level), e.Message, attrs(fields)...)
	return nil
}

// retryOf is what a line of certmagic says of another try; 0 if it says nothing of one.
func retryOf(fields []zapcore.Field) (err error, in time.Duration) { //nolint:revive,staticcheck // the error is what is told
	for _, f := range fields {
		switch {
		case f.Key == "retrying_in" && f.Type == zapcore.DurationType:
			in = time.Duration(f.Integer)
		case f.Key == "error" && f.Type == zapcore.ErrorType:
			err, _ = f.Interface.(error)
		}
	}
	return err, in
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

// quiet passes on what acmez says from warnings upwards: it tells every request, and every nonce.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}
