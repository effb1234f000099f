/* `Deciding.decide` and `Evaluator.decide` for the calls that nearly all are: a principal, an action, a resource and perhaps
   a context, in this order, and perhaps one approval. `deciding.py` in C. */

#include "native.h"

enum { PRINCIPAL, ACTION, RESOURCE, CONTEXT, NAMES };

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *entries;   /* By action, resource type and principal type. */
    PyObject *each;      /* By the name of a rule that demands an approval, the set of it alone. */
    PyObject *nothing;   /* The attributes of an action that is no more than a name. */
    PyObject *slowly;    /* Takes the parts and approvals, where there is no entry, or the entry raises. */
    PyObject *otherwise; /* Takes whatever else it is called with. */
    PyObject *keyword[NAMES];
    PyObject *approvals, *type, *name;
} Shortcut;

/* What a request is asked with: its parts, and the approvals that its caller has verified, as an entry takes them. */
typedef struct {
    PyObject *part[NAMES];
    PyObject *approved; /* Borrowed; NULL for none. */
} Asked;

/* Takes the arguments apart where they come as nearly all do: the parts by position, or with their keywords in this order;
   with one approval, or none. 1, or 0 for any other call, perhaps with an exception. Names in code are interned. */
static int
take(const Shortcut *self, PyObject *const *args, Py_ssize_t positional, PyObject *names, Asked *asked)
{
    Py_ssize_t count = names == NULL ? 0 : PyTuple_GET_SIZE(names), at = 0;
    if (names == NULL ? positional != NAMES : positional != 0) {
        return 0;
    }
    asked->approved = NULL;
    asked->part[CONTEXT] = Py_None;
    if (names == NULL) {
        memcpy(asked->part, args, sizeof asked->part);
        return 1;
    }
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
        asked->approved = PyDict_GetItemWithError(self->each, PyList_GET_ITEM(given, 0));
        return asked->approved != NULL;
    }
    return at == count;
}

/* The member of a plain object that is a plain text: a new reference, NULL if there is none, or with an exception. */
static PyObject *
text_of(PyObject *object, PyObject *member)
{
    PyObject *text = PyDict_CheckExact(object) ? get(object, member) : NULL;
    if (text != NULL && !PyUnicode_CheckExact(text)) {
        Py_CLEAR(text);
    }
    return text;
}

/* What is under the type of an entity, as above. */
static PyObject *
under_type(const Shortcut *self, PyObject *by_type, PyObject *entity)
{
    PyObject *type = text_of(entity, self->type);
    PyObject *found = type != NULL && PyDict_CheckExact(by_type) ? get(by_type, type) : NULL;
    Py_XDECREF(type);
    return found;
}

/* What was made for requests of this action and these types, as above. */
static PyObject *
entry_of(const Shortcut *self, PyObject *name, PyObject *const *given)
{
    PyObject *resources = get(self->entries, name);
    PyObject *principals = resources == NULL ? NULL : under_type(self, resources, given[RESOURCE]);
    PyObject *entry = principals == NULL ? NULL : under_type(self, principals, given[PRINCIPAL]);
    Py_XDECREF(resources);
    Py_XDECREF(principals);
    return entry;
}

static PyObject *
shortcut_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Shortcut *self = (Shortcut *)callable;
    Asked asked;
    if (!take(self, args, PyVectorcall_NARGS(flags), names, &asked)) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->otherwise, args, flags, names);
    }
    PyObject *principal = asked.part[PRINCIPAL], *action = asked.part[ACTION], *resource = asked.part[RESOURCE];
    PyObject *context = asked.part[CONTEXT], *decision = NULL;
    int is_name = PyUnicode_CheckExact(action);
    PyObject *name = is_name ? Py_NewRef(action) : text_of(action, self->name);
    PyObject *entry = name == NULL ? NULL : entry_of(self, name, asked.part);
    Py_XDECREF(name);
    if (entry != NULL) {
        /* What is not said is left out: an action that is no more than a name, and approvals. */
        PyObject *given[] = {NULL, principal, resource, context, is_name ? self->nothing : action, asked.approved};
        size_t count = asked.approved != NULL ? 5 : is_name ? 3 : 4;
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
    return PyObject_CallFunctionObjArgs(self->slowly, principal, action, resource, context, asked.approved, NULL);
}

static PyObject *
shortcut_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"principal", "action", "resource", "context"};
    PyObject *entries, *each, *nothing, *slowly, *otherwise;
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) != 0) ||
        !PyArg_ParseTuple(args, "O!O!O!OO", &PyDict_Type, &entries, &PyDict_Type, &each, &PyDict_Type, &nothing, &slowly,
                          &otherwise)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "takes no keywords");
    }
    Shortcut *self = (Shortcut *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = shortcut_call;
    self->entries = Py_NewRef(entries);
    self->each = Py_NewRef(each);
    self->nothing = Py_NewRef(nothing);
    self->slowly = Py_NewRef(slowly);
    self->otherwise = Py_NewRef(otherwise);
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
    Py_VISIT(self->entries);
    Py_VISIT(self->each);
    Py_VISIT(self->nothing);
    Py_VISIT(self->slowly);
    Py_VISIT(self->otherwise);
    return 0;
}

static void
shortcut_dealloc(PyObject *object)
{
    Shortcut *self = (Shortcut *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->entries);
    Py_XDECREF(self->each);
    Py_XDECREF(self->nothing);
    Py_XDECREF(self->slowly);
    Py_XDECREF(self->otherwise);
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
    /* What it is a shortcut for: its signature and its documentation. */
    {"__wrapped__", T_OBJECT, offsetof(Shortcut, otherwise), READONLY, NULL},
    {NULL},
};

static PyType_Slot shortcut_slots[] = {
    {Py_tp_doc, "Gives the decision of an entry, where a request is asked about as nearly all are."},
    {Py_tp_new, shortcut_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, shortcut_traverse},
    {Py_tp_dealloc, shortcut_dealloc},
    {Py_tp_members, shortcut_members},
    {0, NULL},
};

PyType_Spec shortcut_spec = {
    .name = "policyengine.compile.native.Shortcut",
    .basicsize = sizeof(Shortcut),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = shortcut_slots,
};
