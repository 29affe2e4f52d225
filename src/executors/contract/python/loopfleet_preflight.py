"""Whether an entry file can begin in this interpreter: it is there, can be read, and the modules that it imports are found.

Started by a worker as `python -c SOURCE KIND TARGET` in the environment of the program, where KIND is script, module, code
or start. Nothing of the program is executed. Prints one line with a JSON object; a name is "missing" only if the import is
certain to fail, and "unknown" if it may succeed nevertheless. Runs with every Python since 2.7.
"""
import os
import sys

SEARCHED = list(sys.path)
# A json.py in a folder of PYTHONPATH is the program's business, not ours.
sys.path[:] = [path for path in SEARCHED if path.startswith(os.path.dirname(os.__file__))] or SEARCHED
import ast
import json

try:
    from importlib.machinery import PathFinder
    from importlib.util import find_spec
except ImportError:  # before Python 3.4
    PathFinder = find_spec = None
sys.path[:] = SEARCHED

# Packages that make no other package importable when they are imported. What is not listed is not trusted with that:
# bpy brings mathutils, clr brings System, jpype brings java.
QUIET = set((
    'PIL absl accelerate albumentations attr attrs certifi click cv2 datasets dateutil dill dotenv einops filelock fire h5py '
    'huggingface_hub hydra imageio jax jinja2 joblib keras lightning matplotlib mlflow mmcv mmdet mmengine networkx numba '
    'numpy omegaconf onnx onnxruntime openvino orjson packaging pandas polars psutil pyarrow pycocotools pydantic '
    'pytorch_lightning regex requests rich safetensors scipy seaborn shapely skimage sklearn tensorboard tensorboardX '
    'tensorflow termcolor timm tokenizers toml torch torchaudio torchmetrics torchvision tqdm transformers typing_extensions '
    'ultralytics wandb yaml zmq'
).split())
# What the calls of these do cannot change which modules are found.
SAFE_MODULES = set((
    'argparse collections copy csv dataclasses datetime decimal enum faulthandler fractions getpass hashlib io json locale '
    'logging math operator pathlib platform random re resource secrets signal socket string struct tempfile textwrap time '
    'typing uuid warnings'
).split())
SAFE_PARTS = {
    'contextlib': set('contextmanager suppress'.split()),
    'os': set('cpu_count environ getcwd getenv getpid listdir makedirs mkdir name path umask'.split()),
    'sys': set('argv executable flags platform setrecursionlimit stderr stdout version version_info'.split()),
}
SAFE_BUILTINS = set((
    'abs bool bytes classmethod dict float frozenset int isinstance len list max min object open print '
    'property range repr round set sorted staticmethod str sum super tuple zip'
).split())
KNOWN_NAMES = set('__annotations__ __doc__ __file__ __name__ __package__ __version__'.split())
SEARCH_STATE = set('path modules meta_path path_hooks path_importer_cache'.split())
MOST_FILES = 100
INSTALLED = ('site-packages', 'dist-packages')


def main(kind, target):
    """What is certain and what is not about one entry."""
    answer = {'python': '.'.join(str(part) for part in sys.version_info[:3]), 'problem': None, 'missing': [], 'unknown': []}
    try:
        if kind == 'script':
            check_script(target, answer)
        elif kind == 'module':
            check_module(target, answer)
        elif kind == 'code':
            search_from(None)
            check_source(target.encode('utf-8') if str is not bytes else target, '-c', answer)
    except Exception as error:  # such as a nesting that is too deep for this parser
        unknown(answer, kind, type(error).__name__ + ': ' + str(error))
    return answer


def check_script(path, answer):
    """A file, or a folder or archive with a __main__.py."""
    if os.path.isdir(path):
        path = os.path.join(path, '__main__.py')
    if not os.path.exists(path):
        answer['problem'] = 'there is no ' + path
        return
    try:
        with open(path, 'rb') as file:
            source = file.read()
    except (IOError, OSError) as error:
        answer['problem'] = path + ' cannot be read: ' + str(error.strerror)
        return
    search_from(path)
    check_source(source, os.path.basename(path), answer, path)


def check_module(name, answer):
    """The target of python -m; the packages around it are not imported."""
    search_from(None)
    if find_spec is None:
        return unknown(answer, name, 'this Python is too old to find modules without importing them')
    state, spec = find(name)
    if state == 'missing':
        answer['missing'].append({'name': name.split('.')[0], 'line': None})
        return None
    if state == 'found' and spec.submodule_search_locations is not None:
        state, spec = find(name + '.__main__')
    origin = getattr(spec, 'origin', None)
    if state != 'found' or not origin or not origin.endswith('.py'):
        return unknown(answer, name, 'its file was not found without importing the packages around it')
    with open(origin, 'rb') as file:
        return check_source(file.read(), os.path.basename(origin), answer, origin)


def check_source(source, shown, answer, path=None):
    """Each import that the file makes in any case, and whether something before it may bring the module."""
    if b'\0' in source:
        return unknown(answer, shown, 'it is no source text')
    try:
        tree = compile(source, shown, 'exec', ast.PyCF_ONLY_AST, True)
    except SyntaxError as error:
        answer['problem'] = '%s, line %s: %s: %s' % (shown, error.lineno, type(error).__name__, error.msg)
        return None
    if find_spec is None:
        return unknown(answer, shown, 'this Python is too old to find modules without importing them')
    reader = Reader()
    seen = set() if path is None else set([os.path.realpath(path)])
    for statement in tree.body:
        if not isinstance(statement, (ast.Import, ast.ImportFrom)):
            reader.disturbed = reader.disturbed or reader.disturbance(statement, seen)
            continue
        for names in reader.imported(statement):
            if names is None:
                unknown(answer, 'relative import', 'not checked', statement.lineno)
                continue
            state, _ = find(names)
            if state == 'missing' and reader.disturbed is None:
                answer['missing'].append({'name': names.split('.')[0], 'line': statement.lineno})
            elif state != 'found':
                why = reader.disturbed or names.split('.')[0] + ' may make it when it is imported'
                unknown(answer, names, why, statement.lineno)
        reader.disturbed = reader.disturbed or reader.disturbance(statement, seen)
    return None


class FromPackage(str):
    """The reason of a doubt, which the program's own failure can end."""


class Reader(object):
    """Reads statements in their order, and notices what may change which modules are found."""

    def __init__(self):
        self.disturbed = None
        # Name -> module, module:part, or nothing for what the file itself has made.
        self.bound = {}
        # Functions and classes of the file, which others may call.
        self.callables = set()

    @staticmethod
    def imported(statement):
        """Dotted names; None for a relative import."""
        if isinstance(statement, ast.Import):
            return [alias.name for alias in statement.names]
        return [None if statement.level else statement.module]

    def disturbance(self, statement, seen):
        """Why modules may be found after this statement that were not before; None if they cannot."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return self.import_disturbance(statement, seen)
        if isinstance(statement, ast.Raise):
            return at(statement, 'may end the program')
        bodies = [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
        bodies += [part for handler in getattr(statement, 'handlers', []) for part in handler.body]
        if isinstance(statement, (ast.FunctionDef, getattr(ast, 'AsyncFunctionDef', ast.FunctionDef))):
            bodies = []  # executed by calls only
            parts = statement.decorator_list + statement.args.defaults + getattr(statement.args, 'kw_defaults', [])
            self.define(statement.name)
        else:
            parts = [part for part in ast.iter_child_nodes(statement) if isinstance(part, (ast.expr, ast.keyword))]
            parts += [getattr(item, 'context_expr', None) for item in getattr(statement, 'items', [])]
        if isinstance(statement, ast.AugAssign) and not self.is_trusted(getattr(statement.target, 'id', '')):
            return at(statement, 'may change where modules are found')
        if hasattr(statement, 'subject') or (isinstance(statement, ast.ClassDef) and not self.is_plain_class(statement)):
            return at(statement, 'may change where modules are found')
        calls = getattr(statement, 'decorator_list', [])
        for part in parts:
            if part is not None and not (self.is_safe(part) and (part not in calls or self.is_safe_decorator(part))):
                return at(part if hasattr(part, 'lineno') else statement, 'may change where modules are found')
        self.rebind(statement)
        for part in bodies:
            why = self.disturbance(part, seen)
            if why is not None:
                return why
        if isinstance(statement, ast.ClassDef):
            self.define(statement.name)
        return None

    def define(self, name):
        self.bound[name] = ''
        self.callables.add(name)

    def rebind(self, statement):
        """What is assigned is no module any more, and may be a function."""
        given = getattr(statement, 'value', None)
        is_callable = isinstance(given, ast.Lambda) or (isinstance(given, ast.Name) and given.id in self.callables)
        for target in getattr(statement, 'targets', [getattr(statement, 'target', None)]):
            for node in ast.walk(target) if target is not None else []:
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self.bound[node.id] = ''
                    if is_callable:
                        self.callables.add(node.id)

    def is_plain_class(self, statement):
        """No metaclass, and no base that may do something when a class is derived from it."""
        if statement.keywords if hasattr(statement, 'keywords') else False:
            return False
        if any(getattr(part, 'name', None) == '__init_subclass__' for part in statement.body):
            return False
        for base in statement.bases:
            top = (self.root(base) or '').split(':')[0].split('.')[0]
            is_known = is_standard(top) or top in QUIET if top else isinstance(base, ast.Name)
            if not is_known:
                return False
        return True

    def is_safe(self, expression):
        for node in ast.walk(expression):
            if isinstance(node, ast.Call) and not (self.is_safe_call(node.func) and self.are_safe_arguments(node)):
                return False
            if isinstance(node, ast.Attribute):
                if node.attr.startswith('__') and node.attr not in KNOWN_NAMES:
                    return False
                if node.attr == 'sys' or (node.attr in SEARCH_STATE and self.root(node.value) == 'sys'):
                    return False
            if isinstance(node, ast.Name):
                if node.id.startswith('__') and node.id not in KNOWN_NAMES:
                    return False
                module, _, part = self.bound.get(node.id, '').partition(':')
                if module == 'sys' and part in SEARCH_STATE:
                    return False
                if isinstance(node.ctx, ast.Load) and not self.is_trusted(node.id):
                    return False  # what a module beside the script has made may do anything when it is used
        return True

    def is_trusted(self, name):
        top = self.bound.get(name, '').split(':')[0].split('.')[0]
        return top == '' or is_standard(top) or top in QUIET

    def are_safe_arguments(self, call):
        """Without a function of the file, which would be called."""
        given = call.args + [keyword.value for keyword in call.keywords]
        return not any(
            isinstance(node, ast.Lambda) or (isinstance(node, ast.Name) and node.id in self.callables)
            for argument in given
            for node in ast.walk(argument)
        )

    def is_safe_decorator(self, part):
        return isinstance(part, ast.Call) or self.is_safe_call(part)  # the call itself was looked at

    def root(self, node):
        """The module behind a dotted expression."""
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        return self.bound.get(node.id) if isinstance(node, ast.Name) else None

    def is_safe_call(self, function):
        first = None
        node = function
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
            if isinstance(node, ast.Call) and node is function:
                return False
            first = node.attr if isinstance(node, ast.Attribute) else first
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, (ast.Str if sys.version_info < (3, 8) else ast.Constant, getattr(ast, 'JoinedStr', ast.List))):
            return True  # ''.join(…)
        if not isinstance(node, ast.Name):
            return False
        if node.id not in self.bound:
            return node.id in SAFE_BUILTINS
        module, _, part = self.bound[node.id].partition(':')
        top = module.split('.')[0]
        return top in SAFE_MODULES or module == 'os.path' or (part or first) in SAFE_PARTS.get(module, ())

    def import_disturbance(self, statement, seen):
        names = self.imported(statement)
        if names == [None]:
            return at(statement, 'imports a module that is not read')
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                self.bound[alias.asname or alias.name.split('.')[0]] = alias.name if alias.asname else alias.name.split('.')[0]
        else:
            if any(alias.name == '*' for alias in statement.names) and names[0] in ('sys', 'os'):
                return at(statement, 'may change where modules are found')
            for alias in statement.names:
                self.bound[alias.asname or alias.name] = names[0] + ':' + alias.name
            names = names + [names[0] + '.' + alias.name for alias in statement.names if alias.name != '*']
        for name in names:
            parts = name.split('.')
            for count in range(1, len(parts) + 1):
                why = self.module_disturbance('.'.join(parts[:count]), seen)
                if why is not None:
                    return why
        return None

    @staticmethod
    def module_disturbance(name, seen):
        """Why the import of this module may bring others, by its file and the files that it imports."""
        top = name.split('.')[0]
        if is_standard(top) or top == '__future__':
            return None
        state, spec = find(name)
        if state != 'found':
            return None  # an attribute of the module; or the program ends here
        origin = spec.origin
        if origin in (None, 'namespace', 'built-in', 'frozen'):
            return None
        if any(part in INSTALLED for part in origin.split(os.sep)):
            return None if top in QUIET else FromPackage(top + ', which is imported before, may bring it')
        path = os.path.realpath(origin)
        if path in seen:
            return None
        seen.add(path)
        if not origin.endswith('.py') or len(seen) > MOST_FILES:
            return top + ', which is imported before, may bring it'
        try:
            with open(path, 'rb') as file:
                body = compile(file.read(), origin, 'exec', ast.PyCF_ONLY_AST, True).body
        except (IOError, OSError, SyntaxError, ValueError):
            return name + ', which is imported before, is not readable'
        reader = Reader()
        for statement in body:
            why = reader.disturbance(statement, seen)
            if why is not None:
                return '%s (%s), which is imported before, may bring it' % (name, why)
        return None


def find(name):
    """('found', spec), ('missing', None) for a name without a dot in it, or ('unknown', None)."""
    parts = name.split('.')
    try:
        spec = find_spec(parts[0])  # imports nothing, as long as there is no dot in the name
        if spec is None:
            return 'missing', None
        if parts[0] in sys.modules and len(parts) > 1 and is_standard(parts[0]):
            return 'found', spec  # os.path is no file in a package
        for count in range(2, len(parts) + 1):
            folders = spec.submodule_search_locations
            spec = None if folders is None else PathFinder.find_spec('.'.join(parts[:count]), list(folders))
            if spec is None:
                return 'unknown', None
        return 'found', spec
    except Exception:  # a finder of somebody else's, or a module without a spec
        return 'unknown', None


def is_standard(top):
    names = getattr(sys, 'stdlib_module_names', None)
    if names is not None:
        return top in names
    if top in sys.builtin_module_names:
        return True
    state, spec = find(top)
    origin = spec.origin if state == 'found' else None
    return bool(origin) and os.path.dirname(os.__file__) in origin and not any(part in origin for part in INSTALLED)


def search_from(script):
    """Puts the script's folder where `-c` has put the working directory, as Python does when it starts a script."""
    if script is None or not sys.path or sys.path[0] != '':
        return
    folders = [os.path.dirname(os.path.realpath(script)), os.path.dirname(os.path.abspath(script))]
    sys.path[0:1] = folders if folders[0] != folders[1] else folders[:1]


def at(node, text):
    return 'line %s %s' % (node.lineno, text)


def unknown(answer, name, why, line=None):
    answer['unknown'].append({'name': name, 'line': line, 'why': why, 'byPackage': isinstance(why, FromPackage)})


if __name__ == '__main__':
    sys.stdout.write('\nloopfleet-preflight ' + json.dumps(main(sys.argv[1], sys.argv[2])) + '\n')
