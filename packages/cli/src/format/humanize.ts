/** Times and names as docker's tables show them. */

/** `2 minutes`, `About an hour`, `3 weeks`. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second';
  if (Math.floor(seconds) === 1) return '1 second';
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(seconds / 86_400);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

export const ago = (unixSeconds: number): string =>
  `${humanDuration(Math.max(0, Date.now() / 1000 - unixSeconds))} ago`;

/** Go's default layout: `2026-11-20 15:02:53 +0000 UTC`. */
export function goTime(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** Cut to `width` characters, with an ellipsis. */
export function ellipsis(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** `sha256:` cut off, twelve digits. */
export const shortDigest = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);
