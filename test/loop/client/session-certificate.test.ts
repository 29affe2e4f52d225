import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { expect } from 'chai'
import { InvalidInputError } from '../../../src/base/errors.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('the certificate file of a session', () => {
  const folder = useTemporaryFolder()
  const open = (sslCertPath: string) =>
    createLoopSession({ host: 'loop.lab', sslCertPath }, { log: silentLogger() }).close()

  it('may be a bundle with remarks', async () => {
    const path = join(folder.path, 'bundle.pem')
    await writeFile(path, `# our authorities\n${rootCertificates.slice(0, 2).join('\n')}\n`)

    expect(() => open(path)).not.to.throw()
  })

  it('is refused with what to set when it is missing, a folder, empty or something else', async () => {
    const path = join(folder.path, 'notes.txt')
    await writeFile(path, 'buy a certificate')
    await writeFile(join(folder.path, 'empty.pem'), '')

    for (const [file, problem] of [
      [join(folder.path, 'missing.pem'), 'cannot be read'],
      [folder.path, 'cannot be read'],
      [join(folder.path, 'empty.pem'), 'holds no certificate'],
      [path, 'holds no certificate'],
    ] as const) {
      const sentence = `The certificate file "${file}" ${problem}; set LOOP_SSL_CERT_PATH to a PEM file.`
      expect(() => open(file)).to.throw(InvalidInputError, sentence)
    }
  })
})
