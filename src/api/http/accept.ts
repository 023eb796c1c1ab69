/** Does the caller take JSON? */

/**
 * Reads an `Accept` header (RFC 9110 section 12.5.1). True without one, and when it holds nothing that can be read:
 * clients send odd ones, and JSON is all there is.
 */
export function acceptsJson(header: string | undefined): boolean {
  const ranges = (header ?? '').split(',').flatMap((part) => {
    const [range = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
    if (!/^[^\s/]+\/[^\s/]+$/u.test(range)) return [];
    const quality = parameters.find((each) => each.startsWith('q='));
    return [{ range, quality: quality === undefined ? 1 : Number(quality.slice(2)) }];
  });
  if (ranges.length === 0) return true;
  return ranges.some(({ range, quality }) => quality > 0 && ['*/*', 'application/*', 'application/json'].includes(range));
}
