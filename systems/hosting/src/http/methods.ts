/** Which methods a path has, for those that ask with a wrong one. */
import type { FastifyInstance } from 'fastify'

export class Methods {
  readonly #routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = []

  /** Knows every route that is added from now on. */
  watch(app: Pick<FastifyInstance, 'addHook'>): void {
    app.addHook('onRoute', ({ url, method }) => {
      const parts = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : escape(part)))
      this.#routes.push({ path: new RegExp(`^${parts.join('/')}$`), methods: [method].flat() })
    })
  }

  /** Of a URL, query included; none where there is no such path. */
  of(url: string): string[] {
    const [path = ''] = url.split('?')
    const found = this.#routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods)
    return [...new Set(found)].toSorted()
  }
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
