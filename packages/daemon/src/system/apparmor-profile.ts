/**
 * What the default profile allows, in AppArmor's language (apparmor.d(5)): everything that capabilities, seccomp and mounts
 * leave to a container, but nothing that changes the host through /proc and /sys. It needs no file of the distribution.
 */
export const defaultProfileName = 'boxship-default';

/** Below /proc/sys only what belongs to the namespaces of a container: net, fs/mqueue, kernel/{shm,sem,msg}. */
export const defaultProfileText = `
profile ${defaultProfileName} flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  umount,
  deny mount,

  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send,receive) peer=${defaultProfileName},
  ptrace (trace,read,tracedby,readby) peer=${defaultProfileName},

  deny /proc/* w,
  deny /proc/{acpi,asound,bus,driver,dynamic_debug,fs,irq,scsi,sysvipc,tty}/** w,
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,
  deny /proc/sys/{abi,crypto,debug,dev,sunrpc,user,vm}/** w,
  deny /proc/sys/fs/[^m]** w,
  deny /proc/sys/kernel/[^ms]** w,
  deny /proc/sys/kernel/m[^s]** w,
  deny /proc/sys/kernel/s[^eh]** w,

  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/{firmware,devices/virtual/powercap,kernel/security}/** rwklx,
}
`;
