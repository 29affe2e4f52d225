const MAX_NAME_BYTES = 1024
const MAX_SEGMENT_BYTES = 255

export type CheckedName =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly problem: string }

/**
 * Keeps account of the names in one archive. A name is answered in its plain form (`a/./b//c` is `a/b/c`), or with what
 * is wrong with it: it leads outside, is there twice, or is a file and a folder at the same time.
 */
export class EntryNames {
  readonly #files = new Set<string>()
  readonly #folders = new Set<string>()

  add(rawName: string, kind: 'file' | 'folder'): CheckedName {
    const problem = problemOf(rawName)
    if (problem !== undefined) return { ok: false, problem }
    const segments = rawName.split('/').filter((segment) => segment !== '' && segment !== '.')
    const name = segments.join('/')
    if (kind === 'file' && name === '') return { ok: false, problem: 'a file has no name' }
    if (kind === 'file' && this.#files.has(name)) return { ok: false, problem: 'the same name is there twice' }
    const parents = segments.map((_, index) => segments.slice(0, index + 1).join('/'))
    if (kind === 'file') parents.pop()
    const clash = (kind === 'file' && this.#folders.has(name)) || parents.some((parent) => this.#files.has(parent))
    if (clash) return { ok: false, problem: 'the same name is a file and a folder' }
    for (const parent of parents) this.#folders.add(parent)
    if (kind === 'file') this.#files.add(name)
    return { ok: true, name }
  }
}

function problemOf(name: string): string | undefined {
  if (name.includes('\0')) return 'a name has a NUL'
  if (name.includes('\\')) return 'a name has a backslash'
  if (name.startsWith('/') || /^[a-z]:/i.test(name)) return 'a name is an absolute path'
  const segments = name.split('/')
  if (segments.includes('..')) return 'a name leads outside with ".."'
  const tooLong = segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)
  if (tooLong || Buffer.byteLength(name) > MAX_NAME_BYTES) return 'a name is too long'
  return undefined
}
