/* `Evaluator.decide` and `KeywordDecider.decide` for the calls that nearly all are: a principal, an action, a resource
   and perhaps a context, in this order, and perhaps one approval. `keyword_decider.py` in C.

   A `Shortcut` is a method, and stands in its class as one: who overrides, wraps or replaces it has done so for every
   call. What it goes by is in the object that is asked, in a `Decider`, and in no `__dict__`: no copy of the object has
   it, and nothing that was made from the contents of another. Who has none goes the long way. */

#include "native.h"

enum { PRINCIPAL, ACTION, RESOURCE, CONTEXT, NAMES };

/* So many entries are at hand. */
#define RECENT 8

/* An entry that was found, and what it was found by: the same texts lead to it again. */
typedef struct {
    PyObject *name, *resource, *principal, *entry;
} Recent;

/* What calls of one evaluator go by. */
typedef struct {
    PyObject_HEAD
    PyObject *entries; /* By action, resource type and principal type. What is there stays. */
    PyObject *each;    /* By the name of a rule that demands an approval, the set of it alone. */
    PyObject *nothing; /* The attributes of an action that is no more than a name. */
    PyObject *slowly;  /* Takes the parts and approvals, where there is no entry, or the entry raises. */
    Recent recent[RECENT];
} Route;

typedef struct {
    PyObject_HEAD
    PyObject *route; /* NULL for none. */
} Decider;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *method; /* Takes whatever else it is called with. */
    int positional;   /* Whether it takes the parts by position. */
    PyObject *decider;
    PyTypeObject *asked; /* The class of the object that was asked last, which is a `Decider`. */
    PyObject *keyword[NAMES];
    PyObject *approvals, *type, *name;
} Shortcut;

/* ---- what it goes by ---- */

static int
route_traverse(PyObject *object, visitproc visit, void *arg)
{
    Route *self = (Route *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->entries);
    Py_VISIT(self->each);
    Py_VISIT(self->nothing);
    Py_VISIT(self->slowly);
    for (int i = 0; i < RECENT; i++) {
        Py_VISIT(self->recent[i].entry);
    }
    return 0;
}

static void
route_dealloc(PyObject *object)
{
    Route *self = (Route *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->entries);
    Py_XDECREF(self->each);
    Py_XDECREF(self->nothing);
    Py_XDECREF(self->slowly);
    for (int i = 0; i < RECENT; i++) {
        Py_XDECREF(self->recent[i].name);
        Py_XDECREF(self->recent[i].resource);
        Py_XDECREF(self->recent[i].principal);
        Py_XDECREF(self->recent[i].entry);
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static PyType_Slot route_slots[] = {
    {Py_tp_traverse, route_traverse},
    {Py_tp_dealloc, route_dealloc},
    {0, NULL},
};

PyType_Spec route_spec = {
    .name = "policyengine.compile.native.Route",
    .basicsize = sizeof(Route),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = route_slots,
};

static PyObject *
decider_go_by(PyObject *object, PyTypeObject *defining, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count != 4 || names != NULL || !PyDict_CheckExact(args[0]) || !PyDict_CheckExact(args[1]) ||
        !PyDict_CheckExact(args[2]) || !PyCallable_Check(args[3])) {
        return PyErr_Format(PyExc_TypeError, "takes entries, approvals, no attributes, and what decides slowly");
    }
    State *state = PyType_GetModuleState(defining);
    PyTypeObject *type = state == NULL ? NULL : (PyTypeObject *)state->route;
    Route *route = type == NULL ? NULL : (Route *)type->tp_alloc(type, 0);
    if (route == NULL) {
        return NULL;
    }
    route->entries = Py_NewRef(args[0]);
    route->each = Py_NewRef(args[1]);
    route->nothing = Py_NewRef(args[2]);
    route->slowly = Py_NewRef(args[3]);
    Py_XSETREF(((Decider *)object)->route, (PyObject *)route);
    Py_RETURN_NONE;
}

static int
decider_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Decider *)object)->route);
    return 0;
}

static int
decider_clear(PyObject *object)
{
    Py_CLEAR(((Decider *)object)->route);
    return 0;
}

static void
decider_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    decider_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

/* A copy has what is in the `__dict__`, and goes the long way. */
static PyObject *
decider_getstate(PyObject *object, PyObject *Py_UNUSED(nothing))
{
    return PyObject_GetAttrString(object, "__dict__");
}

static PyMethodDef decider_methods[] = {
    {"_go_by", (PyCFunction)(void (*)(void))decider_go_by, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "From now on the shortcuts of this object go by these."},
    {"__getstate__", decider_getstate, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot decider_slots[] = {
    {Py_tp_doc, "An object whose methods may have shortcuts."},
    {Py_tp_methods, decider_methods},
    {Py_tp_traverse, decider_traverse},
    {Py_tp_clear, decider_clear},
    {Py_tp_dealloc, decider_dealloc},
    {0, NULL},
};

PyType_Spec decider_spec = {
    .name = "policyengine.compile.native.Decider",
    .basicsize = sizeof(Decider),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_BASETYPE,
    .slots = decider_slots,
};

/* ---- a call ---- */

/* What a request is asked with: its parts, and the approvals that its caller has verified, as an entry takes them. */
typedef struct {
    PyObject *part[NAMES];
    PyObject *approved; /* Borrowed; NULL for none. */
} Asked;

/* Takes the arguments apart where they come as nearly all do: the parts by position, or with their keywords in this order;
   with one approval, or none. 1, or 0 for any other call, perhaps with an exception. Names in code are interned. */
static int
take(const Shortcut *self, const Route *route, PyObject *const *args, Py_ssize_t positional, PyObject *names, Asked *asked)
{
    Py_ssize_t count = names == NULL ? 0 : PyTuple_GET_SIZE(names), at = 0;
    asked->approved = NULL;
    if (names == NULL) {
        if (positional != NAMES || !self->positional) {
            return 0;
        }
        memcpy(asked->part, args, sizeof asked->part);
        return 1;
    }
    if (positional != 0) {
        return 0;
    }
    asked->part[CONTEXT] = Py_None;
    for (; at < count && at < NAMES && PyTuple_GET_ITEM(names, at) == self->keyword[at]; at++) {
        asked->part[at] = args[at];
    }
    if (at < CONTEXT) {
        return 0;
    }
    if (at + 1 == count && PyTuple_GET_ITEM(names, at) == self->approvals) {
        PyObject *given = args[at];
        if (!PyList_CheckExact(given) || PyList_GET_SIZE(given) != 1 || !PyUnicode_CheckExact(PyList_GET_ITEM(given, 0))) {
            return 0;
        }
        /* Of a name that is none there is no set: whoever else is called says so. */
        asked->approved = PyDict_GetItemWithError(route->each, PyList_GET_ITEM(given, 0));
        return asked->approved != NULL;
    }
    return at == count;
}

/* The plain text under a key of a plain object, which most have first: a new reference, NULL if there is none, or with an
   exception. */
static PyObject *
text_of(PyObject *object, PyObject *member)
{
    PyObject *key, *text;
    Py_ssize_t i = 0;
    if (!PyDict_CheckExact(object)) {
        return NULL;
    }
    if (PyDict_Next(object, &i, &key, &text) && key == member) {
        Py_INCREF(text);
    }
    else {
        text = get(object, member);
    }
    if (text != NULL && !PyUnicode_CheckExact(text)) {
        Py_CLEAR(text);
    }
    return text;
}

/* What was made for requests of this action and these types, as above. It is found without being looked up from then on. */
static PyObject *
look_up(Route *route, PyObject *name, PyObject *resource, PyObject *principal, Recent *recent)
{
    PyObject *resources = get(route->entries, name);
    PyObject *principals = resources == NULL || !PyDict_CheckExact(resources) ? NULL : get(resources, resource);
    PyObject *entry = principals == NULL || !PyDict_CheckExact(principals) ? NULL : get(principals, principal);
    Py_XDECREF(resources);
    Py_XDECREF(principals);
    if (entry != NULL) {
        Recent before = *recent;
        *recent = (Recent){Py_NewRef(name), Py_NewRef(resource), Py_NewRef(principal), Py_NewRef(entry)};
        Py_XDECREF(before.name);
        Py_XDECREF(before.resource);
        Py_XDECREF(before.principal);
        Py_XDECREF(before.entry);
    }
    return entry;
}

static PyObject *
entry_of(const Shortcut *self, Route *route, PyObject *name, PyObject *const *part)
{
    PyObject *resource = text_of(part[RESOURCE], self->type);
    PyObject *principal = resource == NULL ? NULL : text_of(part[PRINCIPAL], self->type), *entry = NULL;
    if (principal != NULL) {
        uintptr_t place = (uintptr_t)name >> 4 ^ (uintptr_t)resource >> 5 ^ (uintptr_t)principal >> 6;
        Recent *recent = &route->recent[place % RECENT];
        if (recent->name == name && recent->resource == resource && recent->principal == principal) {
            entry = Py_NewRef(recent->entry);
        }
        else {
            entry = look_up(route, name, resource, principal, recent);
        }
    }
    Py_XDECREF(resource);
    Py_XDECREF(principal);
    return entry;
}

/* The decision about what is asked. Its arguments are in order. */
static PyObject *
decide(const Shortcut *self, Route *route, const Asked *asked)
{
    PyObject *principal = asked->part[PRINCIPAL], *action = asked->part[ACTION], *resource = asked->part[RESOURCE];
    PyObject *context = asked->part[CONTEXT], *decision = NULL;
    int is_name = PyUnicode_CheckExact(action);
    PyObject *name = is_name ? Py_NewRef(action) : text_of(action, self->name);
    PyObject *entry = name == NULL ? NULL : entry_of(self, route, name, asked->part);
    Py_XDECREF(name);
    if (entry != NULL) {
        /* What is not said is left out: an action that is no more than a name, and approvals. */
        PyObject *given[] = {NULL, principal, resource, context, is_name ? route->nothing : action, asked->approved};
        size_t count = asked->approved != NULL ? 5 : is_name ? 3 : 4;
        decision = PyObject_Vectorcall(entry, given + 1, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(entry);
    }
    if (decision != NULL) {
        return decision;
    }
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        /* Whatever it is, the long way decides. */
        PyErr_Clear();
    }
    /* Without approvals their place is the end. */
    return PyObject_CallFunctionObjArgs(route->slowly, principal, action, resource, context, asked->approved, NULL);
}

/* What an object goes by: borrowed, NULL for nothing. */
static PyObject *
route_of(Shortcut *self, PyObject *object)
{
    if (Py_TYPE(object) != self->asked) {
        if (!PyObject_TypeCheck(object, (PyTypeObject *)self->decider)) {
            return NULL;
        }
        Py_XSETREF(self->asked, (PyTypeObject *)Py_NewRef((PyObject *)Py_TYPE(object)));
    }
    return ((Decider *)object)->route;
}

static PyObject *
shortcut_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Shortcut *self = (Shortcut *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    PyObject *route = count == 0 ? NULL : route_of(self, args[0]), *decision = NULL;
    Asked asked;
    int is_usual = 0;
    if (route != NULL) {
        /* Its object may go by another one meanwhile. */
        Py_INCREF(route);
        is_usual = take(self, (Route *)route, args + 1, count - 1, names, &asked);
        if (is_usual) {
            decision = decide(self, (Route *)route, &asked);
        }
        Py_DECREF(route);
    }
    return is_usual || PyErr_Occurred() ? decision : PyObject_Vectorcall(self->method, args, flags, names);
}

/* ---- as a method ---- */

static PyObject *
shortcut_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object == NULL || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

/* What a method says of itself. */
static PyObject *
shortcut_told(PyObject *self, void *name)
{
    return PyObject_GetAttrString(((Shortcut *)self)->method, name);
}

/* As a function is: by its name, and not copied. */
static PyObject *
shortcut_reduce(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return shortcut_told(self, "__qualname__");
}

static PyObject *
shortcut_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"principal", "action", "resource", "context"};
    PyObject *method;
    int positional;
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) != 0) ||
        !PyArg_ParseTuple(args, "O!p", &PyFunction_Type, &method, &positional)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "takes no keywords");
    }
    State *state = PyType_GetModuleState(type);
    Shortcut *self = state == NULL ? NULL : (Shortcut *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = shortcut_call;
    self->method = Py_NewRef(method);
    self->positional = positional;
    self->decider = Py_NewRef(state->decider);
    self->approvals = PyUnicode_InternFromString("approved");
    self->type = PyUnicode_InternFromString("type");
    self->name = PyUnicode_InternFromString("name");
    int failed = self->approvals == NULL || self->type == NULL || self->name == NULL;
    for (int i = 0; i < NAMES; i++) {
        self->keyword[i] = PyUnicode_InternFromString(names[i]);
        failed = failed || self->keyword[i] == NULL;
    }
    if (failed) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
shortcut_traverse(PyObject *object, visitproc visit, void *arg)
{
    Shortcut *self = (Shortcut *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->method);
    Py_VISIT(self->decider);
    Py_VISIT(self->asked);
    return 0;
}

static int
shortcut_clear(PyObject *object)
{
    /* A class is among what it holds. */
    Py_CLEAR(((Shortcut *)object)->asked);
    return 0;
}

static void
shortcut_dealloc(PyObject *object)
{
    Shortcut *self = (Shortcut *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->method);
    Py_XDECREF(self->decider);
    Py_XDECREF(self->asked);
    Py_XDECREF(self->approvals);
    Py_XDECREF(self->type);
    Py_XDECREF(self->name);
    for (int i = 0; i < NAMES; i++) {
        Py_XDECREF(self->keyword[i]);
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef shortcut_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Shortcut, vectorcall), READONLY, NULL},
    /* What it is a shortcut for. */
    {"__wrapped__", T_OBJECT, offsetof(Shortcut, method), READONLY, NULL},
    {NULL},
};

static PyGetSetDef shortcut_getset[] = {
    {"__doc__", shortcut_told, NULL, NULL, "__doc__"},
    {"__name__", shortcut_told, NULL, NULL, "__name__"},
    {"__qualname__", shortcut_told, NULL, NULL, "__qualname__"},
    {"__module__", shortcut_told, NULL, NULL, "__module__"},
    {NULL},
};

static PyMethodDef shortcut_methods[] = {
    {"__reduce__", shortcut_reduce, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot shortcut_slots[] = {
    {Py_tp_new, shortcut_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, shortcut_get},
    {Py_tp_traverse, shortcut_traverse},
    {Py_tp_clear, shortcut_clear},
    {Py_tp_dealloc, shortcut_dealloc},
    {Py_tp_members, shortcut_members},
    {Py_tp_getset, shortcut_getset},
    {Py_tp_methods, shortcut_methods},
    {0, NULL},
};

PyType_Spec shortcut_spec = {
    .name = "policyengine.compile.native.Shortcut",
    .basicsize = sizeof(Shortcut),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = shortcut_slots,
};
