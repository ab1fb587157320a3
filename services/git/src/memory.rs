//! Bounds on the memory that libgit2 takes for one job.
//!
//! A repository of some kilobytes can hold objects of gigabytes: compressed, as deltas, or as trees
//! that hold each other many times over. libgit2 reads an object whole, and not only those that an
//! effect names: a walk through history reads parents, a delta its base. So the bound is on what it
//! allocates: large requests fail as if memory had run out, which libgit2 has a way out of in all
//! places where it asks for much. The same way ends work that was cancelled or is out of time.
//! Small requests always succeed.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A smaller request never fails.
const SMALL: usize = 64 << 10;

/// The memory that one job may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryLimits {
    /// Bytes in one piece, such as an object.
    pub(super) single: usize,
    /// Bytes at once.
    pub(super) total: usize,
    /// If true, work that is cancelled or out of time gets no more.
    pub(super) ends_early: bool,
}

impl MemoryLimits {
    /// For work that reads commits and trees, and files up to `max_file` bytes.
    pub(super) fn reading(max_file: u64) -> Self {
        let max_file = usize::try_from(max_file).unwrap_or(usize::MAX);
        Self {
            single: (64 << 20).max(max_file.saturating_mul(2)),
            total: (256_usize << 20).saturating_add(max_file.saturating_mul(8)),
            ends_early: true,
        }
    }

    /// For work that stores and checks out whole files. It is not broken off, since half of it may be done.
    pub(super) fn writing(max_file: u64) -> Self {
        let reading = Self::reading(max_file);
        Self {
            single: reading.single.max(256 << 20),
            total: reading.total.max(768 << 20),
            ends_early: false,
        }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// One piece of so many bytes.
    Single(usize),
    /// More at once than the job may take.
    Total,
    /// The job is cancelled or out of time.
    Ended,
}

struct Account {
    used: Cell<usize>,
    limits: Cell<Option<MemoryLimits>>,
    refusal: Cell<Option<Refusal>>,
    deadline: Cell<Option<Instant>>,
    /// Points into the job, which outlives the [`Scope`].
    cancelled: Cell<*const AtomicBool>,
}

thread_local! {
    static ACCOUNT: Account = const { Account {
        used: Cell::new(0),
        limits: Cell::new(None),
        refusal: Cell::new(None),
        deadline: Cell::new(None),
        cancelled: Cell::new(std::ptr::null()),
    } };
}

/// Bounds what libgit2 takes on this thread, until it is dropped.
pub(super) struct Scope<'j>(std::marker::PhantomData<&'j AtomicBool>);

impl<'j> Scope<'j> {
    pub(super) fn enter(
        limits: MemoryLimits,
        deadline: Instant,
        cancelled: &'j AtomicBool,
    ) -> Self {
        ACCOUNT.with(|account| {
            account.used.set(0);
            account.limits.set(Some(limits));
            account.refusal.set(None);
            account.deadline.set(Some(deadline));
            account.cancelled.set(cancelled);
        });
        Self(std::marker::PhantomData)
    }

    /// The first request that failed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        ACCOUNT.with(|account| account.refusal.get())
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        ACCOUNT.with(|account| {
            account.limits.set(None);
            account.cancelled.set(std::ptr::null());
        });
    }
}

/// Makes room for a file of git's own that is read whole and holds an entry for each file or reference.
pub(super) fn allow_file(bytes: u64) {
    const MAX: u64 = 1 << 30;
    let bytes = usize::try_from(bytes.min(MAX)).unwrap_or(usize::MAX);
    ACCOUNT.with(|account| {
        if let Some(limits) = account.limits.get() {
            account.limits.set(Some(MemoryLimits {
                single: limits.single.max(bytes.saturating_add(1 << 20)),
                total: limits.total.saturating_add(bytes.saturating_mul(6)),
                ..limits
            }));
        }
    });
}

/// A request's failure is forgotten: its reason was dealt with.
pub(super) fn forget_refusal() {
    ACCOUNT.with(|account| account.refusal.set(None));
}

/// True if a request failed in this job.
pub(super) fn is_refused() -> bool {
    ACCOUNT.with(|account| account.refusal.get().is_some())
}

impl Account {
    /// Decides about a request for `size` bytes, which replaces `freed`.
    fn allows(&self, size: usize, freed: usize) -> bool {
        let Some(limits) = self.limits.get().filter(|_| size >= SMALL) else {
            return true;
        };
        let after = self.used.get().saturating_sub(freed).saturating_add(size);
        let cancelled = self.cancelled.get();
        #[allow(unsafe_code, reason = "a thread-local cannot hold a borrow")]
        // SAFETY: not null only within a `Scope`, which borrows what it points to.
        let is_cancelled = unsafe { cancelled.as_ref() }
            .is_some_and(|cancelled| cancelled.load(Ordering::Relaxed));
        let refusal = if size > limits.single {
            Refusal::Single(size)
        } else if after > limits.total {
            Refusal::Total
        } else if limits.ends_early && (is_cancelled || self.is_late()) {
            Refusal::Ended
        } else {
            return true;
        };
        if self.refusal.get().is_none() {
            self.refusal.set(Some(refusal));
        }
        false
    }

    fn is_late(&self) -> bool {
        self.deadline
            .get()
            .is_some_and(|deadline| Instant::now() > deadline)
    }

    fn changed(&self, freed: usize, taken: usize) {
        self.used
            .set(self.used.get().saturating_sub(freed).saturating_add(taken));
    }
}

/// libgit2's `git_allocator` (`git2/sys/alloc.h`).
#[repr(C)]
struct Allocator {
    malloc: extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    realloc: extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    free: extern "C" fn(*mut c_void),
}

static ALLOCATOR: Allocator = Allocator {
    malloc: allocate,
    realloc: reallocate,
    free: release,
};

#[allow(
    unsafe_code,
    reason = "libgit2 takes an allocator as C functions, which hand on to the C library's"
)]
mod c {
    use super::*;

    pub(super) extern "C" fn allocate(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
        ACCOUNT.with(|account| {
            if !account.allows(size, 0) {
                return std::ptr::null_mut();
            }
            // SAFETY: any size may be asked for; libgit2 asks for at least one byte.
            let new = unsafe { libc::malloc(size.max(1)) };
            account.changed(0, size_of_allocation(new));
            new
        })
    }

    pub(super) extern "C" fn reallocate(
        old: *mut c_void,
        size: usize,
        _: *const c_char,
        _: c_int,
    ) -> *mut c_void {
        ACCOUNT.with(|account| {
            let freed = size_of_allocation(old);
            if !account.allows(size, freed) {
                return std::ptr::null_mut();
            }
            // SAFETY: `old` is null or came from `malloc` or `realloc`, here or in libgit2's own
            // allocator, which was in place before.
            let new = unsafe { libc::realloc(old, size.max(1)) };
            if !new.is_null() {
                account.changed(freed, size_of_allocation(new));
            }
            new
        })
    }

    pub(super) extern "C" fn release(old: *mut c_void) {
        ACCOUNT.with(|account| account.changed(size_of_allocation(old), 0));
        // SAFETY: as for `reallocate`.
        unsafe { libc::free(old) };
    }

    fn size_of_allocation(at: *mut c_void) -> usize {
        // SAFETY: null, or an allocation of the C library's.
        unsafe { libc::malloc_usable_size(at) }
    }

    /// Has libgit2 use the allocator.
    ///
    /// # Safety
    /// No other thread may be in libgit2.
    pub(in super::super) unsafe fn install() -> c_int {
        const SET_ALLOCATOR: c_int = libgit2_sys::GIT_OPT_SET_ALLOCATOR as c_int;
        let allocator: *const Allocator = &raw const ALLOCATOR;
        // SAFETY: libgit2 copies the three pointers; the caller sees to the rest.
        unsafe { libgit2_sys::git_libgit2_opts(SET_ALLOCATOR, allocator) }
    }
}

pub(super) use c::install;
use c::{allocate, reallocate, release};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn take(size: usize) -> bool {
        let taken = allocate(size, std::ptr::null(), 0);
        let is_there = !taken.is_null();
        release(taken);
        is_there
    }

    #[test]
    fn large_requests_fail_beyond_the_limits_and_small_ones_never() {
        let cancelled = AtomicBool::new(false);
        let limits = MemoryLimits {
            single: 1 << 20,
            total: 2 << 20,
            ends_early: true,
        };
        let later = Instant::now() + Duration::from_secs(600);
        let scope = Scope::enter(limits, later, &cancelled);
        assert!(take(1 << 20));
        assert_eq!(scope.refusal(), None);
        assert!(!take((1 << 20) + 1));
        assert_eq!(scope.refusal(), Some(Refusal::Single((1 << 20) + 1)));
        forget_refusal();

        let held: Vec<_> = (0..3)
            .map(|_| allocate(1 << 20, std::ptr::null(), 0))
            .collect();
        assert_eq!(held.iter().filter(|held| held.is_null()).count(), 2);
        assert_eq!(scope.refusal(), Some(Refusal::Total));
        held.into_iter().for_each(|held| release(held));
        assert!(take(1 << 20));

        forget_refusal();
        cancelled.store(true, Ordering::Relaxed);
        assert!(take(SMALL - 1));
        assert!(!take(SMALL));
        assert_eq!(scope.refusal(), Some(Refusal::Ended));
        drop(scope);
        assert!(take(4 << 20));
    }

    #[test]
    fn a_piece_that_cannot_grow_stays_as_it_is() {
        let cancelled = AtomicBool::new(false);
        let limits = MemoryLimits {
            single: 1 << 20,
            total: 1 << 20,
            ends_early: true,
        };
        let later = Instant::now() + Duration::from_secs(600);
        let _scope = Scope::enter(limits, later, &cancelled);
        let old = reallocate(std::ptr::null_mut(), 1 << 19, std::ptr::null(), 0);
        assert!(!old.is_null());
        assert!(reallocate(old, 2 << 20, std::ptr::null(), 0).is_null());
        release(old);
    }
}
