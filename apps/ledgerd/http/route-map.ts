/** Which methods answer under which path: what tells a wrong method from a wrong path. */
export class RouteMap {
  readonly #routes: { readonly segments: readonly string[]; readonly methods: readonly string[] }[] = [];

  add(pattern: string, methods: readonly string[]): void {
    this.#routes.push({ segments: pattern.split('/'), methods });
  }

  /** The methods that the path of a URL would answer, sorted; none when there is no such path. */
  methodsAt(url: string): string[] {
    const [path = ''] = url.split('?', 1);
    const segments = path.split('/');
    const methods = this.#routes.flatMap((route) => (fits(route.segments, segments) ? route.methods : []));
    return [...new Set(methods)].sort();
  }
}

const fits = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every(
    (part, index) => part === segments[index] || (part.startsWith(':') && segments[index] !== ''),
  );
