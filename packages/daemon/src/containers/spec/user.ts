/** `User` and `GroupAdd` of a container resolved in the container's own /etc/passwd and /etc/group, as Docker does it. */
import { BoxshipError } from '@boxship/base';
import type { RuntimeUser } from '@boxship/oci';

export interface AccountFiles {
  /** Empty when the image has none. */
  readonly passwd: string;
  readonly group: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const maxId = 2 ** 31 - 1;
const bad = (message: string) => new BoxshipError('invalidArgument', message);

function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name === undefined || uid === undefined || gid === undefined || line.startsWith('#')
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members = ''] = line.split(':');
    return name === undefined || gid === undefined || line.startsWith('#')
      ? []
      : [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }];
  });
}

const numeric = (text: string): number | undefined => (/^\d{1,10}$/.test(text) ? Number(text) : undefined);

/** @throws invalidArgument in Docker's words when a name is unknown */
export function resolveUser(user: string, groupAdd: readonly string[], files: AccountFiles): RuntimeUser {
  const [userText = '', groupText = ''] = user.split(':', 2);
  const passwd = parsePasswd(files.passwd);
  const groups = parseGroup(files.group);
  const wanted = userText === '' ? '0' : userText;
  const number = numeric(wanted);
  // a name that is a number is a number first, but its passwd line still gives the group
  const entry =
    passwd.find((candidate) => candidate.name === wanted) ?? passwd.find((candidate) => candidate.uid === number);
  const uid = entry?.uid ?? number;
  if (uid === undefined) throw bad(`unable to find user ${wanted}: no matching entries in passwd file`);
  if (uid > maxId) throw bad('uids and gids must be in range 0-2147483647');
  const gid = groupText === '' ? (entry?.gid ?? 0) : groupId(groupText, groups);
  // an explicit group means: that one only
  const supplementary =
    groupText === '' && entry !== undefined
      ? groups.filter((group) => group.members.includes(entry.name)).map((group) => group.gid)
      : [];
  const added = groupAdd.map((group) => groupId(group, groups));
  const additional = [...new Set([gid, ...supplementary, ...added])];
  return { uid, gid, ...(additional.length === 0 ? {} : { additionalGids: additional }) };
}

function groupId(text: string, groups: readonly GroupEntry[]): number {
  const gid = groups.find((group) => group.name === text)?.gid ?? numeric(text);
  if (gid === undefined) throw bad(`unable to find group ${text}: no matching entries in group file`);
  if (gid > maxId) throw bad('uids and gids must be in range 0-2147483647');
  return gid;
}
