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

// appendError gives an append's error its kind.
func (j *Journal) appendError(ctx context.Context, client *esdb.Client, stream string, err error) error {
	j.notice(client, err)
	doing := j.describe("appending to", stream)
	switch codeOf(err) {
	case esdb.ErrorCodeWrongExpectedVersion:
		return ErrWrongRevision.Because(record.Errorf(record.Conflict, "%s: %w", doing, err))
	case esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeNotLeader:
		return record.Errorf(record.Unavailable, "%s: %w", doing, err)
	case esdb.ErrorCodeDeadlineExceeded, esdb.ErrorAborted, esdb.ErrorUnavailable:
		return ErrUnknownOutcome.Because(record.Errorf(record.Unavailable, "%s: %w", doing, err))
	}
	if ctx.Err() != nil {
		return ErrUnknownOutcome.Because(record.Errorf(record.Unavailable, "%s: %w", doing, err))
	}
	// A server that ends the call while the client is still sending shows as a bare EOF: nothing was appended, or it
	// would have waited for the rest. EventStoreDB does so to an append that is too large.
	if errors.Is(err, io.EOF) {
		return record.Errorf(record.Invalid, "%s: the server did not take it, as it does when an append is too large: %w", doing, err)
	}
	return j.commonError(doing, err)
}

// readError gives the error of a read or subscription its kind.
func (j *Journal) readError(ctx context.Context, client *esdb.Client, stream string, err error) error {
	j.notice(client, err)
	doing := j.describe("reading", stream)
	if cause := ctx.Err(); cause != nil {
		return record.Errorf(record.Unavailable, "%s: %w", doing, cause)
	}
	switch codeOf(err) {
	case esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeNotLeader, esdb.ErrorCodeDeadlineExceeded, esdb.ErrorAborted,
		esdb.ErrorUnavailable:
		return record.Errorf(record.Unavailable, "%s: %w", doing, err)
	}
	return j.commonError(doing, err)
}

func (j *Journal) commonError(doing string, err error) error {
	switch codeOf(err) {
	case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated:
		return record.Errorf(record.Forbidden, "%s: %w", doing, err)
	}
	switch statusCode(err) {
	case codes.InvalidArgument, codes.OutOfRange:
		return record.Errorf(record.Invalid, "%s: %w", doing, err)
	case codes.PermissionDenied, codes.Unauthenticated:
		return record.Errorf(record.Forbidden, "%s: %w", doing, err)
	}
	// The server failed (a full disk, a damaged file) or said something this client does not know.
	return record.Errorf(record.Unavailable, "%s: %w", doing, err)
}

// notice drops a client that reported that it is finished.
func (j *Journal) notice(client *esdb.Client, err error) {
	switch codeOf(err) {
	case esdb.ErrorCodeConnectionClosed, esdb.ErrorUnavailable:
		j.forget(client)
	}
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
