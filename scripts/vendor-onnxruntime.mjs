// Copies the CPU part of ONNX Runtime for Linux from node_modules into vendor/, for the packed package (docs/adr/0018).
// Its own npm package runs an installer that contacts a third host, and carries 220 MB for other systems.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = join(root, 'node_modules/onnxruntime-node')
const target = join(root, 'vendor/onnxruntime-node')

const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
const pinned = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies['onnxruntime-node']
if (manifest.version !== pinned) {
  process.stderr.write(`onnxruntime-node is ${manifest.version} in node_modules, but package.json pins ${pinned}.\n`)
  process.exit(1)
}

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
cpSync(join(source, 'dist'), join(target, 'dist'), { recursive: true, filter: (path) => !path.endsWith('.map') })
for (const cpu of ['x64', 'arm64']) {
  for (const file of ['libonnxruntime.so.1', 'onnxruntime_binding.node']) copy(`bin/napi-v6/linux/${cpu}/${file}`)
}
cpSync(join(root, 'licenses/onnxruntime'), target, { recursive: true })
const { name, version, license, author, repository, main, dependencies } = manifest
const kept = { 'onnxruntime-common': dependencies['onnxruntime-common'] } // the others serve the installer
const vendored = { name, version, license, author, repository, main, dependencies: kept }
writeFileSync(join(target, 'package.json'), `${JSON.stringify(vendored, undefined, 2)}\n`)

function copy(path) {
  if (!existsSync(join(source, path))) {
    process.stderr.write(`onnxruntime-node ${manifest.version} has no ${path}; its layout has changed.\n`)
    process.exit(1)
  }
  cpSync(join(source, path), join(target, path))
}
