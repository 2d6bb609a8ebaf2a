/** The little of image references that a client needs: where the tag begins, and how the name is shown. */

export interface SplitReference {
  readonly name: string;
  /** Tag or digest; undefined when neither is given. */
  readonly tag: string | undefined;
  /** As docker prints it: with `:latest` when nothing is given. */
  readonly shown: string;
}

export function splitReference(reference: string): SplitReference {
  const at = reference.indexOf('@');
  if (at >= 0) return { name: reference.slice(0, at), tag: reference.slice(at + 1), shown: reference };
  // a colon behind the last slash begins the tag; one before it belongs to the registry's port
  const colon = reference.indexOf(':', reference.lastIndexOf('/') + 1);
  if (colon < 0) return { name: reference, tag: undefined, shown: `${reference}:latest` };
  return { name: reference.slice(0, colon), tag: reference.slice(colon + 1), shown: reference };
}
