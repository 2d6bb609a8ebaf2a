/** Updates of labels by field mask, shared by every object that has them. */
import { BoxshipError } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';

type Labels = { [key: string]: string };

/**
 * The labels after an update by field mask. `labels` replaces all, `labels.<key>` one, where the key may hold dots and
 * slashes: only the first dot separates. A label set to the empty string through a mask is deleted.
 */
export function updateLabels(current: Readonly<Labels>, wanted: Readonly<Labels>, paths: readonly string[]): Labels {
  let result: Labels = { ...current };
  for (const path of paths) {
    if (path === 'labels') result = { ...wanted };
    else if (path.startsWith('labels.')) {
      const key = path.slice('labels.'.length);
      const value = wanted[key] ?? '';
      if (value === '') delete result[key];
      else result[key] = value;
    }
  }
  checkLabels(result);
  return result;
}

/** The field lookup of a filter for `labels.…` paths. */
export function lookupLabel(labels: Readonly<Labels>, path: readonly string[]): string | undefined {
  return labels[path.slice(1).join('.')];
}

export const refuseMaskPath = (path: string, what: string): never => {
  throw new BoxshipError('invalidArgument', `cannot update ${JSON.stringify(path)} field on ${what}`);
};
