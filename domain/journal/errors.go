package journal

import (
	"context"
	"errors"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"yidang/domain/record"
)

var (
	// ErrWrongRevision is a Conflict: the stream is not where the append expected it.
	ErrWrongRevision = record.Errorf(record.Conflict, "the stream has changed since it was read")

	// ErrUnknownOutcome is Unavailable: the append may have been done. A repeat with the same ids is safe.
	ErrUnknownOutcome = record.Errorf(record.Unavailable, "the append may or may not have been done")
)

// ended is true for the end of a read, which for a stream that does not exist comes at once.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || err != nil && codeOf(err) == esdb.ErrorCodeResourceNotFound
}

// notTaken is true when nothing was appended and another try may tell more. A follower names the leader, which the client
// connects to next. A server that ends the call while the client is still sending shows as a bare EOF, and only a
// client that has sent everything gets to see why.
func notTaken(err error) bool {
	return codeOf(err) == esdb.ErrorCodeNotLeader || errors.Is(err, io.EOF)
}

// appendError gives an append's error its kind.
func (j *Journal) appendError(ctx context.Context, stream string, err error) error {
	doing := "journal at " + j.address + ": appending to " + stream
	switch codeOf(err) {
	case esdb.ErrorCodeWrongExpectedVersion:
		return ErrWrongRevision.Because(record.Errorf(record.Conflict, "%s: %w", doing, err))
	case esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeNotLeader:
		return record.Errorf(record.Unavailable, "%s: %w", doing, err)
	case esdb.ErrorCodeDeadlineExceeded, esdb.ErrorAborted, esdb.ErrorUnavailable:
		return ErrUnknownOutcome.Because(record.Errorf(record.Unavailable, "%s: %w", doing, err))
	}
	if errors.Is(err, errNotSent) {
		return record.Errorf(record.Unavailable, "%s: %w", doing, err)
	}
	if ctx.Err() != nil || j.life.Err() != nil {
		return ErrUnknownOutcome.Because(record.Errorf(record.Unavailable, "%s: %w", doing, err))
	}
	if errors.Is(err, io.EOF) {
		return record.Errorf(record.Invalid, "%s: the server did not hear it out, as it does when an append is too large or not allowed: %w", doing, err)
	}
	return commonError(doing, err)
}

// readError gives the error of a read or subscription its kind.
func (j *Journal) readError(ctx context.Context, stream string, err error) error {
	doing := "journal at " + j.address + ": reading " + stream
	if ctx.Err() != nil {
		return record.Errorf(record.Unavailable, "%s: %w", doing, context.Cause(ctx))
	}
	return commonError(doing, err)
}

func commonError(doing string, err error) error {
	if kind := statusKind(err); kind != "" {
		return record.Errorf(kind, "%s: %w", doing, err)
	}
	// The server is away, failed (a full disk, a damaged file) or said something this client does not know.
	return record.Errorf(record.Unavailable, "%s: %w", doing, err)
}

// statusKind is the kind of an answer that asking again will not change, or "".
func statusKind(err error) record.Kind {
	switch codeOf(err) {
	case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated:
		return record.Forbidden
	}
	switch statusCode(err) {
	case codes.InvalidArgument, codes.OutOfRange:
		return record.Invalid
	case codes.PermissionDenied, codes.Unauthenticated:
		return record.Forbidden
	}
	return ""
}

func codeOf(err error) esdb.ErrorCode {
	var e *esdb.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return esdb.ErrorCodeUnknown
}

// statusCode finds the gRPC status under the client's error.
func statusCode(err error) codes.Code {
	for ; err != nil; err = errors.Unwrap(err) {
		if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
			return s.GRPCStatus().Code()
		}
	}
	return codes.Unknown
}
