/** The version told to clients. Clients compare it with containerd's: the API level served is that of 1.7. */
export const containerdVersion = '1.7.0-boxship.0.1.0';
