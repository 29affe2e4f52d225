import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeTree } from '../../src/base/files.js'

/** A fresh folder for each test of the suite that calls it; read `path` inside a test. Removed after the test. */
export function useTemporaryFolder(): { readonly path: string } {
  const folder = { path: '' }
  beforeEach(async () => {
    folder.path = await mkdtemp(join(tmpdir(), 'loopfleet-test-'))
  })
  afterEach(async () => {
    await removeTree(folder.path)
  })
  return folder
}
