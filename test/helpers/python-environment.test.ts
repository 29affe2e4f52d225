import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { pythonEnvironment } from './python-environment.js'
import { useTemporaryFolder } from './temporary-folder.js'

describe('a Python environment for tests', () => {
  const folder = useTemporaryFolder()

  it('says which package could not be installed, and why', async function () {
    this.timeout(120_000)
    const requirements = join(folder.path, 'requirements.txt')
    await writeFile(requirements, 'no such requirement')

    const failure = await pythonEnvironment('some package 1.0', pathToFileURL(requirements)).catch(String)

    expect(failure).to.match(/^Error: some package 1\.0 could not be installed: .*Invalid requirement/s)
  })
})
