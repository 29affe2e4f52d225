type Resolved = { readonly url: string; readonly format?: string | null; readonly shortCircuit?: boolean }
type Context = { readonly parentURL?: string | undefined }
type Next = (specifier: string, context: Context) => Promise<Resolved>

/** A hook of Node's module loader: `loopfleet/…` is looked for in this package, all else as ever. */
export async function resolve(specifier: string, context: Context, next: Next): Promise<Resolved> {
  const isOurs = specifier === 'loopfleet' || specifier.startsWith('loopfleet/')
  return next(specifier, isOurs ? { ...context, parentURL: import.meta.url } : context)
}
