"""National identifiers: how each is written, whose check digits it has, and the words that it is spoken of with.

Facts: the pages of python-stdnum, one for each module (`https://arthurdejong.org/python-stdnum/doc/2.2/stdnum.us.ssn`),
which name their own sources; for those without a module, the source stands beside the row.
"""

from __future__ import annotations

from dataclasses import dataclass

ALWAYS, REGION, CONTEXT = "always", "region", "context"
_SSA = "https://www.ssa.gov/employer/randomizationfaqs.html"
_STDNUM = "https://arthurdejong.org/python-stdnum/doc/2.2/stdnum."


@dataclass(frozen=True, slots=True)
class Identifier:
    """`without`: what is written so counts without a word beside it always, in its region, or never. `module` is of
    stdnum; a name with a dot in front is a function of `identifiers.py`."""

    kind: str
    pattern: str
    module: str
    without: str
    words: tuple[str, ...] = ()
    source: str = ""

    @property
    def region(self) -> str:
        return self.kind.partition(".")[2][:2].upper()

    @property
    def where(self) -> str:
        return self.source or _STDNUM + self.module


def _i(kind: str, pattern: str, module: str, without: str, *words: str, source: str = "") -> Identifier:
    return Identifier(f"national_id.{kind}", pattern, module, without, words, source)


# fmt: off - one identifier a line
IDENTIFIERS = (
    _i("us_ssn", r"\d{3}-\d{2}-\d{4}", ".ssn", ALWAYS, "ssn", "social security", source=_SSA),
    _i("us_ssn", r"\d{3}[ .]?\d{2}[ .]?\d{4}", ".ssn", CONTEXT, "ssn", "social security", source=_SSA),
    _i("us_itin", r"9\d{2}-\d{2}-\d{4}", "us.itin", ALWAYS, "itin"),
    _i("us_ein", r"\d{2}-?\d{7}", "us.ein", CONTEXT, "ein", "employer identification"),
    _i(
        "us_driver_license",
        r"[A-Z]{1,2}-?\d{3,4}-?\d{3,4}-?\d{3,6}|[A-Z]\d{6,14}|\d{7,9}",
        ".plain",
        CONTEXT,
        "driver's license",
        "drivers license",
        "driver license",
        "driving licence",
        "dl number",
        source="https://www.mvrdecoder.com/content/drvlicformats.aspx",
    ),
    _i(
        "gb_nino",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        ".nino",
        ALWAYS,
        "national insurance",
        "nino",
        source="https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110",
    ),
    _i("gb_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs", CONTEXT, "nhs"),
    _i("gb_utr", r"\d{10}", "gb.utr", CONTEXT, "utr", "taxpayer reference"),
    _i("ca_sin", r"\d{3}[- ]?\d{3}[- ]?\d{3}", "ca.sin", CONTEXT, "sin", "social insurance"),
    _i("au_tfn", r"\d{3} ?\d{3} ?\d{2,3}", "au.tfn", CONTEXT, "tfn", "tax file number"),
    _i("nz_ird", r"\d{2,3}-?\d{3}-?\d{3}", "nz.ird", CONTEXT, "ird"),
    _i("ie_pps", r"\d{7}[A-W][A-IW]?", "ie.pps", REGION, "pps", "ppsn"),
    _i(
        "de_idnr",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        "de.idnr",
        CONTEXT,
        "steuer-id",
        "steueridentifikationsnummer",
        "idnr",
        "steuer-identifikationsnummer",
        "tax id",
    ),
    _i("at_vnr", r"\d{4} ?\d{6}", "at.vnr", CONTEXT, "svnr", "sozialversicherungsnummer", "sv-nummer"),
    _i("ch_ahv", r"756\.\d{4}\.\d{4}\.\d{2}", "ch.ssn", ALWAYS, "ahv", "avs"),
    _i(
        "fr_nir",
        r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}",
        "fr.nir",
        REGION,
        "nir",
        "insee",
        "curit? sociale",
        "carte vitale",
    ),
    _i(
        "it_codice_fiscale",
        r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]",
        "it.codicefiscale",
        ALWAYS,
        "codice fiscale",
    ),
    _i("es_dni", r"\d{8}[- ]?[A-HJ-NP-TV-Z]", "es.dni", REGION, "dni", "nif"),
    _i("es_nie", r"[XYZ]-?\d{7}-?[A-Z]", "es.nie", ALWAYS, "nie"),
    _i("pt_nif", r"\d{3} ?\d{3} ?\d{3}", "pt.nif", CONTEXT, "nif", "contribuinte"),
    _i("pt_cc", r"\d{8} ?\d ?[A-Z0-9]{2}\d", "pt.cc", REGION, "cart?o de cidad?o"),
    _i("nl_bsn", r"\d{9}|\d{4}\.\d{2}\.\d{3}", "nl.bsn", CONTEXT, "bsn", "burgerservicenummer", "sofinummer"),
    _i("be_nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", "be.nn", ALWAYS, "rijksregisternummer"),
    _i("be_nn", r"\d{11}", "be.nn", CONTEXT, "rijksregisternummer", "registre national"),
    _i("dk_cpr", r"\d{6}-?\d{4}", "dk.cpr", REGION, "cpr"),
    _i("se_personnummer", r"(?:\d{2})?\d{6}[-+]\d{4}", "se.personnummer", ALWAYS, "personnummer"),
    _i("no_fodselsnummer", r"\d{6} ?\d{5}", "no.fodselsnummer", REGION, "f?dselsnummer", "fodselsnummer"),
    _i("fi_hetu", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu", ALWAYS, "hetu", "henkil?tunnus"),
    _i("is_kennitala", r"\d{6}-?\d{4}", "is_.kennitala", REGION, "kennitala"),
    _i("ee_ik", r"[1-6]\d{10}", "ee.ik", REGION, "isikukood"),
    _i("lv_pk", r"\d{6}-?\d{5}", "lv.pvn", REGION, "personas kods"),
    _i("lt_asmens", r"[1-6]\d{10}", "lt.asmens", REGION, "asmens kodas"),
    _i("pl_pesel", r"\d{11}", "pl.pesel", REGION, "pesel"),
    _i("pl_nip", r"\d{3}-\d{3}-\d{2}-\d{2}|\d{10}", "pl.nip", CONTEXT, "nip"),
    _i("cz_rc", r"\d{6}/\d{3,4}", "cz.rc", ALWAYS, "rodn? ??slo"),
    _i("sk_rc", r"\d{6}/?\d{3,4}", "sk.rc", CONTEXT, "rodn? ??slo"),
    _i("ro_cnp", r"[1-9]\d{12}", "ro.cnp", REGION, "cnp"),
    _i("bg_egn", r"\d{10}", "bg.egn", CONTEXT, "egn"),
    _i("hr_oib", r"\d{11}", "hr.oib", CONTEXT, "oib"),
    _i("si_emso", r"\d{13}", "si.emso", REGION, "emso", "em?o"),
    _i("gr_amka", r"\d{11}", "gr.amka", CONTEXT, "amka"),
    _i("tr_tckimlik", r"[1-9]\d{10}", "tr.tckimlik", CONTEXT, "tckn", "kimlik", "t.c."),
    _i("ua_rntrc", r"\d{10}", "ua.rntrc", CONTEXT, "rntrc", "rnokpp"),
    _i("ru_inn", r"\d{12}", "ru.inn", CONTEXT, "inn"),
    _i("md_idno", r"\d{13}", "md.idno", CONTEXT, "idnp", "idno"),
    _i("il_idnr", r"\d{8}-?\d", "il.idnr", CONTEXT, "teudat zehut", "mispar zehut", "israeli id"),
    _i("za_idnr", r"\d{6} ?\d{4} ?\d{3}", "za.idnr", REGION, "sa id", "south african id", "id number"),
    _i("in_aadhaar", r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", "in_.aadhaar", ALWAYS, "aadhaar"),
    _i("in_aadhaar", r"[2-9]\d{11}", "in_.aadhaar", CONTEXT, "aadhaar", "uidai"),
    _i("in_pan", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", "in_.pan", ALWAYS, "pan"),
    _i("cn_ric", r"[1-9]\d{5}(?:19|20)\d{9}[\dX]", "cn.ric", ALWAYS, "resident identity"),
    _i("kr_rrn", r"\d{6}-[1-8]\d{6}", "kr.rrn", ALWAYS, "rrn"),
    _i("jp_my_number", r"\d{4}[ -]?\d{4}[ -]?\d{4}", "jp.in_", CONTEXT, "my number", "individual number"),
    _i(
        "sg_nric",
        r"[STFG]\d{7}[A-Z]",
        ".nric",
        ALWAYS,
        "nric",
        "fin",
        source="https://en.wikipedia.org/wiki/National_Registration_Identity_Card",
    ),
    _i("my_nric", r"\d{6}-\d{2}-\d{4}", "my.nric", ALWAYS, "mykad", "kad pengenalan"),
    _i("th_pin", r"\d-\d{4}-\d{5}-\d{2}-\d", "th.pin", ALWAYS, "thai id"),
    _i("id_nik", r"\d{16}", "id.nik", CONTEXT, "nik", "ktp"),
    _i("pk_cnic", r"\d{5}-\d{7}-\d", "pk.cnic", ALWAYS, "cnic"),
    _i("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf", ALWAYS, "cpf"),
    _i("br_cpf", r"\d{11}", "br.cpf", CONTEXT, "cpf"),
    _i("br_cnpj", r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", "br.cnpj", ALWAYS, "cnpj"),
    _i("ar_cuit", r"\d{2}-\d{8}-\d", "ar.cuit", ALWAYS, "cuit", "cuil"),
    _i("ar_dni", r"\d{1,2}\.?\d{3}\.?\d{3}", "ar.dni", CONTEXT, "dni"),
    _i("cl_rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", "cl.rut", ALWAYS, "rut"),
    _i("cl_rut", r"\d{7,8}-?[\dKk]", "cl.rut", CONTEXT, "rut"),
    _i("co_nit", r"\d{3}\.?\d{3}\.?\d{3}-?\d", "co.nit", CONTEXT, "nit"),
    _i("pe_cui", r"\d{8}-?[\dA-K]", "pe.cui", CONTEXT, "cui"),
    _i("ec_ci", r"\d{9}-?\d", "ec.ci", CONTEXT, "cedula", "c?dula"),
    _i("do_cedula", r"\d{3}-\d{7}-\d", "do.cedula", ALWAYS, "cedula", "c?dula"),
    _i("ve_rif", r"[VEJPG]-?\d{8}-?\d", "ve.rif", ALWAYS, "rif"),
    _i("mx_curp", r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", "mx.curp", ALWAYS, "curp"),
    _i("mx_rfc", r"[A-Z&]{4}\d{6}[A-Z0-9]{3}", "mx.rfc", CONTEXT, "rfc"),
    _i("cr_cpf", r"0?\d-?\d{4}-?\d{4}", "cr.cpf", CONTEXT, "cedula", "c?dula"),
    _i("cu_ni", r"\d{11}", "cu.ni", CONTEXT, "carnet de identidad"),
    _i(
        "xx_passport",
        r"[A-Z]{1,2}\d{6,8}|\d{8,9}",
        ".plain",
        CONTEXT,
        "passport",
        "reisepass",
        "pasaporte",
        "passeport",
        source="https://www.icao.int/publications/doc-series/doc-9303",
    ),
)
