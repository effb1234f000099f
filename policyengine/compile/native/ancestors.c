/* Which of some entities are above the principal or the resource: `ancestors_among` of `hierarchy.py` in C. Parents that say
   nothing of theirs, which is what requests hold, are looked at in place. */

#include "native.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *records;   /* What the world knows, by type and id. */
    PyObject *reach;     /* What is at or above a known entity, or None for a look from the request's own. */
    PyObject *ancestors; /* What to do where a hierarchy is out of the ordinary. */
    PyObject *none;
    PyObject *parents, *type, *id;
    Py_ssize_t most;
} AncestorsAmong;

/* What two dicts, one in the other, have under two keys: 1, 0 if nothing, or -1 with an exception. */
static int
get_both(PyObject *outer, PyObject *first, PyObject *second, PyObject **value)
{
    if (PyDict_GET_SIZE(outer) == 0) {
        return 0;
    }
    PyObject *inner = get(outer, first);
    *value = inner == NULL || !PyDict_CheckExact(inner) ? NULL : get(inner, second);
    Py_XDECREF(inner);
    return *value != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* Which of what is wanted is at or above a parent: 1, 0 if nothing is or if that has to be found out from below, for
   which `found` is None, or -1 with an exception. */
static int
of_parent(AncestorsAmong *self, PyObject *wanted, PyObject *parent, PyObject *parents, PyObject **found)
{
    if (!PyDict_CheckExact(parent)) {
        *found = Py_None;
        return 0;
    }
    PyObject *type, *id;
    get_identity(parent, self->type, self->id, &type, &id);
    int result = id == NULL && PyErr_Occurred() ? -1 : 0;
    if (id == NULL || !PyUnicode_CheckExact(type) || !PyUnicode_CheckExact(id)) {
        *found = Py_None;
    }
    /* With a type, an id and no more there are no parents. */
    else if (PyDict_GET_SIZE(parent) > 2 && (result = PyDict_Contains(parent, self->parents)) != 0) {
        *found = Py_None;
        result = result < 0 ? -1 : 0;
    }
    else if ((result = get_both(self->records, type, id, found)) == 1) {
        Py_DECREF(*found);
        *found = PyObject_CallFunctionObjArgs(self->reach, type, id, parents, NULL);
        result = *found == NULL ? -1 : 1;
        if (*found == Py_None) {
            Py_DECREF(*found);
            result = 0;
        }
    }
    else if (result == 0) {
        result = get_both(wanted, id, type, found);
    }
    Py_XDECREF(type);
    Py_XDECREF(id);
    return result;
}

/* All that is above through one list of parents: a new reference, None if that has to be found out from below, NULL
   with an exception. */
static PyObject *
of_parents(AncestorsAmong *self, PyObject *wanted, PyObject *parents)
{
    PyObject *all = Py_NewRef(self->none);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parents); i++) {
        /* Held: `reach` is Python, and whatever it calls may change the list. */
        PyObject *parent = Py_NewRef(PyList_GET_ITEM(parents, i)), *found = NULL;
        int result = of_parent(self, wanted, parent, parents, &found);
        Py_DECREF(parent);
        if (result == 0 && found == NULL) {
            continue;
        }
        if (result == 1 && all != self->none) {
            PyObject *both = PyNumber_Or(all, found);
            Py_SETREF(found, both);
        }
        if (result == 1 && found != NULL) {
            Py_SETREF(all, found);
            continue;
        }
        Py_DECREF(all);
        return result == 0 ? Py_NewRef(Py_None) : NULL;
    }
    return all;
}

/* Takes what is wanted, as frozen sets of one identity each by id and type; the raw entity; what is known of it. */
static PyObject *
ancestors_among_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    AncestorsAmong *self = (AncestorsAmong *)callable;
    if (PyVectorcall_NARGS(flags) != 3 || (names != NULL && PyTuple_GET_SIZE(names) != 0) ||
        !PyDict_CheckExact(args[0]) || !PyDict_CheckExact(args[1]) || !PyDict_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "takes what is wanted, an entity and what is known of it, all dicts");
        return NULL;
    }
    PyObject *entity = args[1], *known = args[2];
    int stated = PyDict_GET_SIZE(known) == 0 ? 0 : PyDict_Contains(known, self->parents);
    if (stated < 0) {
        return NULL;
    }
    PyObject *found = Py_NewRef(Py_None);
    if (!stated) {
        PyObject *parents = get(entity, self->parents);
        if (parents == NULL) {
            Py_DECREF(found);
            return PyErr_Occurred() ? NULL : Py_NewRef(self->none);
        }
        if (PyList_CheckExact(parents) && PyList_GET_SIZE(parents) <= self->most) {
            Py_SETREF(found, of_parents(self, args[0], parents));
        }
        Py_DECREF(parents);
    }
    if (found == Py_None) {
        Py_SETREF(found, PyObject_CallFunctionObjArgs(self->ancestors, entity, known, NULL));
    }
    return found;
}

static PyObject *
ancestors_among_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *records, *reach, *ancestors;
    Py_ssize_t most;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) != 0) {
        PyErr_SetString(PyExc_TypeError, "takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!OOn", &PyDict_Type, &records, &reach, &ancestors, &most)) {
        return NULL;
    }
    AncestorsAmong *self = (AncestorsAmong *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = ancestors_among_call;
    self->records = Py_NewRef(records);
    self->reach = Py_NewRef(reach);
    self->ancestors = Py_NewRef(ancestors);
    self->most = most;
    self->none = PyFrozenSet_New(NULL);
    self->parents = PyUnicode_InternFromString("parents");
    self->type = PyUnicode_InternFromString("type");
    self->id = PyUnicode_InternFromString("id");
    if (self->none == NULL || self->parents == NULL || self->type == NULL || self->id == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
ancestors_among_traverse(PyObject *object, visitproc visit, void *arg)
{
    AncestorsAmong *self = (AncestorsAmong *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->records);
    Py_VISIT(self->reach);
    Py_VISIT(self->ancestors);
    return 0;
}

static void
ancestors_among_dealloc(PyObject *object)
{
    AncestorsAmong *self = (AncestorsAmong *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->records);
    Py_XDECREF(self->reach);
    Py_XDECREF(self->ancestors);
    Py_XDECREF(self->none);
    Py_XDECREF(self->parents);
    Py_XDECREF(self->type);
    Py_XDECREF(self->id);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef ancestors_among_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(AncestorsAmong, vectorcall), READONLY, NULL},
    {NULL},
};

static PyType_Slot ancestors_among_slots[] = {
    {Py_tp_doc, "Finds which of some entities are above the principal or the resource."},
    {Py_tp_new, ancestors_among_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, ancestors_among_traverse},
    {Py_tp_dealloc, ancestors_among_dealloc},
    {Py_tp_members, ancestors_among_members},
    {0, NULL},
};

PyType_Spec ancestors_among_spec = {
    .name = "policyengine.compile.native.AncestorsAmong",
    .basicsize = sizeof(AncestorsAmong),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ancestors_among_slots,
};
