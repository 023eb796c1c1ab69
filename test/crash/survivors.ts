/** Mutants that no test can catch, each with the reason why it does not matter. */
export const survivorsArgued: readonly { readonly file: string; readonly what: string; readonly reason: string }[] = [
  {
    file: 'db/reconciliations.ts',
    what: "drop: .where('lease_owner', 'is not', null)",
    reason:
      'Rows without an owner are left out again in the next line, where the type asks for it; the condition only spares reading them.',
  },
  {
    file: 'db/reconciliations.ts',
    what: "drop: .where('status', 'in', replaceable)",
    reason:
      'The status was looked at before, in the same transaction; the condition is for PostgreSQL, where another may change it in between.',
  },
  {
    file: 'worker/reconcile.ts',
    what: 'negate: second instanceof LeaseLost',
    reason: 'Both ways write nothing: the failure cannot be recorded, as the lease is gone. Only the line in the log differs.',
  },
  {
    file: 'worker/reconcile.ts',
    what: '&& → ||',
    reason: 'A step that waits for nothing gives undefined, which sorts last and counts as no wait: the same outcome.',
  },
];
