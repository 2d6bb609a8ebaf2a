/** What the engine says it is. Tools compare `version` with Docker's releases, so it is a number of that series. */
export const product = {
  name: 'boxship',
  version: '28.2.2',
  own: '0.1.0',
} as const;
export const serverHeader = `Docker/${product.version} (linux)`;
