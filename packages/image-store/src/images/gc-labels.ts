/** The labels by which garbage collection finds what a manifest refers to, numbered as containerd numbers them. */
import type { ManifestDocument } from '@boxship/oci';
import { labelKeys } from '../labels.ts';

export function referenceLabels(document: ManifestDocument): Record<string, string> {
  const labels: Record<string, string> = {};
  if (document.kind === 'index') {
    for (const [index, child] of document.manifests.entries())
      labels[`${labelKeys.gcRefContent}.m.${index}`] = child.digest;
    return labels;
  }
  labels[`${labelKeys.gcRefContent}.config`] = document.config.digest;
  for (const [index, layer] of document.layers.entries()) labels[`${labelKeys.gcRefContent}.l.${index}`] = layer.digest;
  return labels;
}

/** Where a blob came from, for mounting it across repositories when it is pushed: adds a repository to the list. */
export function sourceLabel(
  known: Readonly<Record<string, string>>,
  domain: string,
  path: string,
): Record<string, string> {
  const key = `${labelKeys.distributionSource}.${domain}`;
  const repositories = (known[key] ?? '').split(',').filter((repository) => repository !== '');
  return repositories.includes(path) ? {} : { [key]: [...repositories, path].slice(-8).join(',') };
}
