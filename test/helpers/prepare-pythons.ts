// Run by set-up, so that installing takes no time of `npm test`.
import { preparePythons } from './python-environments.js'

await preparePythons()
