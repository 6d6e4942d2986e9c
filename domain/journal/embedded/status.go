package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The answers below carry the status codes of EventStoreDB's RpcExceptions, from which the client makes its error codes.

func statusInvalid(why string) error { return status.Error(codes.InvalidArgument, why) }

func statusMissing(key string) error {
	return status.Errorf(codes.InvalidArgument, "Required Metadata Property '%s' is missing", key)
}

func statusTooLarge(limit int) error {
	return status.Errorf(codes.InvalidArgument, "Maximum Append Size of %d Exceeded.", limit)
}

func statusDenied() error { return status.Error(codes.PermissionDenied, "Access Denied") }

func statusClosing() error { return status.Error(codes.Unavailable, errClosing.Error()) }

// appendStatus says why an append was not done, or that it may have been.
//
// A failed commit is ABORTED, which is what EventStoreDB answers when its own commit times out: the outcome is unknown.
// Other failures of the storage are certain. None is UNAVAILABLE, at which the client would look for another server.
func appendStatus(err error) error {
	var storage *errStorage
	switch {
	case errors.Is(err, errClosing):
		return statusClosing()
	case errors.As(err, &storage) && !storage.certain:
		return status.Error(codes.Aborted, "Operation timed out: "+storageMessage(storage))
	case errors.As(err, &storage):
		return status.Error(codes.ResourceExhausted, storageMessage(storage))
	}
	return readStatus(err)
}

// readStatus turns the end of a caller's context or a failing file into a status; a status stays what it is.
func readStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, errClosing):
		return statusClosing()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, fmt.Sprintf("journal storage: %v", err))
}

func storageMessage(err *errStorage) string {
	if errors.Is(err, sqlite3.FULL) {
		return err.Error() + " (the disk is full: make room and repeat; nothing that was acknowledged is lost)"
	}
	return err.Error()
}
