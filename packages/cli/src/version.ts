/** The version of this client; a test holds it to that of the package. */
export const clientVersion = '0.1.0';
