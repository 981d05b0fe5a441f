"""The functions of ``libnbd.so.0`` that `nbdconnection` calls, through cffi in ABI mode.

No compiler and no headers are needed: Debian's own binding is tied to one interpreter, and
there is none to install from an index. Each call releases the interpreter lock. The signatures
follow libnbd's stable ABI (1.0 to 1.14; symbols are versioned and never change).
"""

from __future__ import annotations

import functools
from typing import Any

from hypersdk.model.errors import MissingRequirement

_DECLARATIONS = """
struct nbd_handle;
typedef struct {
  int (*callback)(void *user_data, int *error);
  void *user_data;
  void (*free)(void *user_data);
} nbd_completion_callback;
typedef struct {
  int (*callback)(void *user_data, const char *metacontext, uint64_t offset,
                  uint32_t *entries, size_t nr_entries, int *error);
  void *user_data;
  void (*free)(void *user_data);
} nbd_extent_callback;
typedef struct {
  int (*callback)(void *user_data, const char *name);
  void *user_data;
  void (*free)(void *user_data);
} nbd_context_callback;

struct nbd_handle *nbd_create(void);
void nbd_close(struct nbd_handle *h);
const char *nbd_get_error(void);
int nbd_get_errno(void);

int nbd_add_meta_context(struct nbd_handle *h, const char *name);
int nbd_set_opt_mode(struct nbd_handle *h, bool enable);
int nbd_aio_connect_uri(struct nbd_handle *h, const char *uri);
int nbd_aio_opt_abort(struct nbd_handle *h);
int nbd_aio_opt_go(struct nbd_handle *h, nbd_completion_callback completion);
int nbd_aio_opt_list_meta_context(struct nbd_handle *h, nbd_context_callback context,
                                  nbd_completion_callback completion);
int nbd_aio_disconnect(struct nbd_handle *h, uint32_t flags);
int nbd_aio_is_connecting(struct nbd_handle *h);
int nbd_aio_is_negotiating(struct nbd_handle *h);
int nbd_aio_is_ready(struct nbd_handle *h);
int nbd_poll(struct nbd_handle *h, int timeout);
int nbd_aio_command_completed(struct nbd_handle *h, uint64_t cookie);

int nbd_can_meta_context(struct nbd_handle *h, const char *metacontext);
int nbd_can_multi_conn(struct nbd_handle *h);
int nbd_can_zero(struct nbd_handle *h);
int nbd_can_flush(struct nbd_handle *h);
int nbd_is_read_only(struct nbd_handle *h);
int64_t nbd_get_size(struct nbd_handle *h);
int64_t nbd_get_block_size(struct nbd_handle *h, int size_type);

int64_t nbd_aio_pread(struct nbd_handle *h, void *buf, size_t count, uint64_t offset,
                      nbd_completion_callback completion, uint32_t flags);
int64_t nbd_aio_pwrite(struct nbd_handle *h, const void *buf, size_t count, uint64_t offset,
                       nbd_completion_callback completion, uint32_t flags);
int64_t nbd_aio_zero(struct nbd_handle *h, uint64_t count, uint64_t offset,
                     nbd_completion_callback completion, uint32_t flags);
int64_t nbd_aio_flush(struct nbd_handle *h, nbd_completion_callback completion, uint32_t flags);
int64_t nbd_aio_block_status(struct nbd_handle *h, uint64_t count, uint64_t offset,
                             nbd_extent_callback extent, nbd_completion_callback completion,
                             uint32_t flags);
"""

#: nbd_get_block_size: which limit is asked for.
SIZE_MINIMUM = 0
SIZE_MAXIMUM = 2

#: Context names and flags of the NBD protocol, "Metadata querying".
BASE_ALLOCATION = "base:allocation"
STATE_ZERO = 2
DIRTY_BITMAP = "qemu:dirty-bitmap:"
STATE_DIRTY = 1


@functools.cache
def load() -> tuple[Any, Any]:
    """(cffi's FFI object, the library), loaded once. Raises MissingRequirement."""
    from cffi import FFI  # noqa: PLC0415 - takes ~40 ms, which only users of NBD should pay

    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        return ffi, ffi.dlopen("libnbd.so.0")
    except OSError as error:
        raise MissingRequirement(
            "the library libnbd.so.0 is not installed; NBD and all formats but raw need it",
            hint="Install it: apt-get install libnbd0",
        ) from error
