/**
 * Who may do what, entered by hand from the published policies of the reference (octavia/policies: the default roles, and
 * the older load-balancer_* roles beside them). Nothing here is computed from the program's own rules.
 */

/** What an endpoint asks for. */
export type Right = 'read' | 'write' | 'admin' | 'read-quota' | 'read-all-quotas' | 'write-quota' | 'list-members';

/** Where a subject has a right: nowhere, in the project of its token, or in every project. */
export type Reach = 'none' | 'own' | 'all';

/** Who calls: the role of a user, and what its token is for. */
export type Subject = { readonly role: string | null; readonly scope: 'project' | 'system' | 'unscoped' | 'no token' };

/** The columns of the matrix. Keystone gives an admin member and reader, and a member reader, too. */
export const subjects: Readonly<Record<string, Subject>> = {
  reader: { role: 'reader', scope: 'project' },
  member: { role: 'member', scope: 'project' },
  admin: { role: 'admin', scope: 'project' },
  service: { role: 'service', scope: 'project' },
  'lb-observer': { role: 'load-balancer_observer', scope: 'project' },
  'lb-global-observer': { role: 'load-balancer_global_observer', scope: 'project' },
  'lb-member': { role: 'load-balancer_member', scope: 'project' },
  'lb-quota-admin': { role: 'load-balancer_quota_admin', scope: 'project' },
  'lb-admin': { role: 'load-balancer_admin', scope: 'project' },
  'system-admin': { role: 'admin', scope: 'system' },
  'system-reader': { role: 'reader', scope: 'system' },
  unscoped: { role: 'member', scope: 'unscoped' },
  nobody: { role: null, scope: 'no token' },
};

/** Subject → right → where. */
export const expected: Readonly<Record<string, Readonly<Record<Right, Reach>>>> = {
  reader: {
    read: 'own',
    write: 'none',
    admin: 'none',
    'read-quota': 'own',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'own',
  },
  member: {
    read: 'own',
    write: 'own',
    admin: 'none',
    'read-quota': 'own',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'own',
  },
  admin: {
    read: 'all',
    write: 'all',
    admin: 'all',
    'read-quota': 'all',
    'read-all-quotas': 'all',
    'write-quota': 'all',
    'list-members': 'all',
  },
  service: {
    read: 'none',
    write: 'none',
    admin: 'none',
    'read-quota': 'none',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'all',
  },
  'lb-observer': {
    read: 'own',
    write: 'none',
    admin: 'none',
    'read-quota': 'own',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'own',
  },
  'lb-global-observer': {
    read: 'all',
    write: 'none',
    admin: 'none',
    'read-quota': 'all',
    'read-all-quotas': 'all',
    'write-quota': 'none',
    'list-members': 'all',
  },
  'lb-member': {
    read: 'own',
    write: 'own',
    admin: 'none',
    'read-quota': 'own',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'own',
  },
  'lb-quota-admin': {
    read: 'none',
    write: 'none',
    admin: 'none',
    'read-quota': 'all',
    'read-all-quotas': 'all',
    'write-quota': 'all',
    'list-members': 'none',
  },
  'lb-admin': {
    read: 'all',
    write: 'all',
    admin: 'all',
    'read-quota': 'all',
    'read-all-quotas': 'all',
    'write-quota': 'all',
    'list-members': 'all',
  },
  'system-admin': {
    read: 'all',
    write: 'all',
    admin: 'all',
    'read-quota': 'all',
    'read-all-quotas': 'all',
    'write-quota': 'all',
    'list-members': 'all',
  },
  'system-reader': {
    read: 'none',
    write: 'none',
    admin: 'none',
    'read-quota': 'none',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'none',
  },
  unscoped: {
    read: 'none',
    write: 'none',
    admin: 'none',
    'read-quota': 'none',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'none',
  },
  nobody: {
    read: 'none',
    write: 'none',
    admin: 'none',
    'read-quota': 'none',
    'read-all-quotas': 'none',
    'write-quota': 'none',
    'list-members': 'none',
  },
};
