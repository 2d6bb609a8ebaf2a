/**
 * Which system calls a container may make, as a table of our own grouped by subject. Names and conditions are those that
 * Docker's default allows, so that what runs there runs here. Everything not named fails with EPERM.
 */

/** Allowed for every container. */
export const alwaysAllowed: Readonly<Record<string, string>> = {
  processes:
    'brk exit exit_group execve execveat fork vfork getpid getppid gettid getpgid getpgrp setpgid getsid setsid kill tkill tgkill pause wait4 waitid waitpid prctl restart_syscall rseq set_robust_list get_robust_list set_tid_address set_thread_area get_thread_area pidfd_open pidfd_send_signal process_mrelease capget capset umask uname sysinfo times getrusage getrlimit ugetrlimit setrlimit prlimit64 getpriority setpriority ioprio_get ioprio_set getcpu seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self membarrier uretprobe',
  identity:
    'getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32',
  signals:
    'rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend',
  scheduling:
    'sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue',
  time: 'alarm adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer setitimer gettimeofday nanosleep time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64',
  memory:
    'madvise memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 map_shadow_stack mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages',
  files:
    'access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 newfstatat fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat lseek _llseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs truncate truncate64 unlink unlinkat utime utimes utimensat utimensat_time64 write writev cachestat',
  attributes:
    'fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr getxattrat setxattrat listxattrat removexattrat',
  waiting:
    'epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit io_pgetevents io_pgetevents_time64',
  network:
    'accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg send sendfile sendfile64 sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair splice tee vmsplice',
  ipc: 'ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget',
  random: 'getrandom',
};

/** Allowed on some architectures only. */
export const byArchitecture: Readonly<Record<string, string>> = {
  amd64: 'arch_prctl modify_ldt',
  arm64: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
  arm: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
  ppc64le: 'sync_file_range2 swapcontext',
  s390x: 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr',
  riscv64: 'riscv_flush_icache riscv_hwprobe',
};

/** Allowed to containers that hold the capability. */
export const byCapability: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN:
    'bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare listmount statmount',
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

/** personality(2) values that change nothing that matters: Linux, 32 bit, no address randomisation variants, query. */
export const allowedPersonalities = [0x0, 0x0008, 0x20000, 0x20008, 0xffffffff] as const;

/** From this kernel on a traced process cannot escape its filter, so ptrace(2) is harmless. */
export const safePtraceKernel: readonly [number, number] = [4, 8];

/** CLONE_NEW*: NS, CGROUP, UTS, IPC, USER, PID, NET. */
export const namespaceCloneFlags = 0x7e020000;

export const ENOSYS = 38;
export const EPERM = 1;
export const AF_VSOCK = 40;
