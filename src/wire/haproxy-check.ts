/** Who is to blame when `haproxy -c` refuses a file: from its messages back to the owners of lines. */
import type { Owner } from '../model/faults.ts';
import type { WrittenConfig } from './haproxy-text.ts';

/** One complaint of HAProxy: its text in one line, and the owner when it points at a line or a section that has one. */
export type Complaint = { readonly message: string; readonly owner: Owner | undefined };

/**
 * The complaints in what `haproxy -c` printed, in its order; notices and warnings are left out.
 *
 * A complaint points either at a line (`parsing [file:12] : …`) or at a proxy or server by its name in quotes
 * (`Proxy 'x' …`, `backend 'x', server 'y': …`): both lead to an owner, the more precise one first.
 */
export function complaintsOf(output: string, config: WrittenConfig): readonly Complaint[] {
  const named = ownersByName(config);
  return output
    .split('\n')
    .filter((line) => line.startsWith('[ALERT]'))
    .map((line) => line.replace(/^\[ALERT\]\s+(?:\S+\s+)?\(\d+\)\s*:\s*/u, '').trim())
    .filter((message) => !/^(?:config : )?(?:Error\(s\) found in configuration|Fatal errors found)/u.test(message))
    .map((message) => ({ message, owner: ownerOfLine(message, config) ?? ownerOfName(message, named) }));
}

function ownerOfLine(message: string, config: WrittenConfig): Owner | undefined {
  const line = /\[[^\]]*:(\d+)\]/u.exec(message)?.[1];
  return line === undefined ? undefined : config.owners[Number(line) - 1];
}

/** Names of sections and servers; a server's name is looked for first because its line names the backend as well. */
function ownersByName(config: WrittenConfig): ReadonlyMap<string, Owner> {
  const names = new Map<string, Owner>();
  for (const [index, line] of config.text.split('\n').entries()) {
    const owner = config.owners[index];
    const name = /^(?:(?:frontend|backend)|\s+server) (\S+)/u.exec(line)?.[1];
    if (owner !== undefined && name !== undefined && !names.has(name)) names.set(name, owner);
  }
  return names;
}

function ownerOfName(message: string, named: ReadonlyMap<string, Owner>): Owner | undefined {
  const quoted = [...message.matchAll(/['"]([^'"]+)['"]/gu)].flatMap((match) => (match[1] ?? '').split('/'));
  const owners = quoted.map((name) => named.get(name)).filter((owner) => owner !== undefined);
  return owners.find((owner) => owner.type === 'member') ?? owners[0];
}
